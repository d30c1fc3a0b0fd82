// Package stats says what a data plane counts: one row of one table for each
// counter. The table names the counter in JSON, in the text of `show` and for
// metrics, and says its direction and unit, so that a counter is added in one
// place. Package plane counts, the API passes Counts on, the CLI prints them. It
// is a leaf: values and their JSON, no I/O.
package stats

// Counter is one thing that a data plane counts. The order of the constants is
// the order in JSON; that of the rows in Table is the order in which people read
// them.
type Counter uint8

// The counters. What each of them counts is the Help of its row in Table.
const (
	DropClearIn Counter = iota
	PacketsIn
	PacketsOut
	IKEIn
	IKEOut
	Keepalives
	Fragmented
	TooBigSent
	ReceiveErrors
	SuperPackets
	DropReports
	DropMuted
	DropMalformed
	DropSPI
	DropReplay
	DropIntegrity
	DropSelector
	DropDummy
	DropECN
	DropPolicy
	DropClear
	DropSequence
	DropVolume
	DropTooBig
	DropNoSocket
	DropSend
	DropDeliver
	DropOverload
	DropRate

	Number // of counters
)

// Direction says which way that which is counted was going.
type Direction string

// The directions, seen from the gateway.
const (
	In   Direction = "in"   // from a peer to the TUN device
	Out  Direction = "out"  // from the TUN device to a peer
	Both Direction = "both" // one way or the other
)

// Unit says what a counter is a number of.
type Unit string

// The units.
const (
	Packets  Unit = "packets"  // and where the row has a BytesKey, their bytes
	Messages Unit = "messages" // of IKE and NAT keepalives
	Errors   Unit = "errors"
	Reports  Unit = "reports"
)

// Row describes one counter.
type Row struct {
	Counter   Counter
	Key       string // the name of its number, in JSON and for metrics
	BytesKey  string // the name of its bytes; empty: they are not counted
	Direction Direction
	Unit      Unit
	Dropped   bool   // it is a cause for which packets were dropped
	Text      string // what `show crypto ipsec stats` calls it; empty: it does not show it
	Help      string // what it counts: a sentence without its full stop
}

// Table returns the row of every counter, in the order in which people read
// them: what was carried, then what was dropped. The caller must not change it.
//
// The bytes of dropped packets are those at hand when they were dropped: of the
// outer packet before it is opened and after it is sealed, of the inner one
// otherwise.
func Table() []Row { return table }

var table = []Row{
	{PacketsIn, "packets_in", "bytes_in", In, Packets, false,
		"decrypted", "inner packets delivered to the TUN device"},
	{PacketsOut, "packets_out", "bytes_out", Out, Packets, false,
		"encrypted", "inner packets sealed and sent"},
	{Fragmented, "fragmented", "", Out, Packets, false,
		"fragmented before encryption", "inner packets fragmented before they are sealed"},
	{TooBigSent, "too_big_sent", "", Out, Packets, false,
		"ICMP too big sent", "ICMP messages written to the TUN device that say how large a packet may be"},
	{IKEIn, "ike_in", "", In, Messages, false,
		"IKE received", "IKE messages received"},
	{IKEOut, "ike_out", "", Out, Messages, false,
		"IKE sent", "IKE messages sent"},
	{Keepalives, "keepalives", "", In, Messages, false,
		"NAT keepalives received", "NAT keepalives received (RFC 3948 section 2.3)"},
	{ReceiveErrors, "receive_errors", "", In, Errors, false,
		"", "errors that sockets reported"},
	{SuperPackets, "super_packets", "", In, Packets, false,
		"", "joined packets written to the TUN device"},
	{DropReports, "reports_dropped", "", Both, Reports, false,
		"", "reports to the owner of the SAs that nobody took in time"},

	{DropSPI, "drop_spi", "drop_spi_bytes", In, Packets, true,
		"no SA has the SPI", "no SA has the SPI"},
	{DropReplay, "drop_replay", "drop_replay_bytes", In, Packets, true,
		"replayed", "seen before, or too old"},
	{DropIntegrity, "drop_integrity", "drop_integrity_bytes", In, Packets, true,
		"not authentic", "not authentic"},
	{DropSelector, "drop_selector", "drop_selector_bytes", In, Packets, true,
		"spoofed: outside the SA's selectors", "inner addresses that the SA must not carry"},
	{DropMalformed, "drop_malformed", "drop_malformed_bytes", Both, Packets, true,
		"malformed", "the outer or the inner packet is no packet"},
	{DropDummy, "drop_dummy", "drop_dummy_bytes", In, Packets, true,
		"dummy packet", "traffic flow confidentiality, next header 59"},
	{DropECN, "drop_ecn", "drop_ecn_bytes", In, Packets, true,
		"congestion mark without ECN", "congestion marked on a flow that cannot carry it (RFC 6040)"},
	{DropOverload, "drop_overload", "drop_overload_bytes", In, Packets, true,
		"overload", "came faster than they could be opened"},
	{DropDeliver, "drop_deliver", "drop_deliver_bytes", In, Packets, true,
		"not taken by the tunnel device", "the TUN device refused the packet"},
	{DropClear, "drop_clear", "drop_clear_bytes", Out, Packets, true,
		"in clear otherwise: no SA covers it", "no SA stands for what must not leave in clear"},
	{DropPolicy, "drop_policy", "drop_policy_bytes", Out, Packets, true,
		"multicast, or its SA has just gone", "multicast, or the SA went while the packet was on its way"},
	{DropTooBig, "drop_too_big", "drop_too_big_bytes", Out, Packets, true,
		"too big for the path", "larger than the path carries; the sender was told"},
	{DropSequence, "drop_sequence", "drop_sequence_bytes", Out, Packets, true,
		"no sequence number left", "sequence numbers used up, or not yet reserved"},
	{DropVolume, "drop_volume", "drop_volume_bytes", Both, Packets, true,
		"volume limit reached", "volume limit of the SA reached"},
	{DropNoSocket, "drop_no_socket", "drop_no_socket_bytes", Out, Packets, true,
		"no socket at the local address", "no outer socket at the SA's local address"},
	{DropSend, "drop_send", "drop_send_bytes", Out, Packets, true,
		"refused by the network", "the network refused the packet"},
	{DropRate, "drop_rate", "drop_rate_bytes", Both, Packets, true,
		"beyond the limits of the class", "beyond the bandwidth or the packets of the class"},
	{DropMuted, "drop_muted", "drop_muted_bytes", Both, Packets, true,
		"standby", "this node is standby"},
	{DropClearIn, "drop_clear_in", "", In, Packets, true,
		"arrived in clear, and may not",
		"came in clear over an interface with a crypto map, and claimed a source inside " +
			"or went where nothing may go in clear; the kernel dropped them, since the context was built"},
}

// rowOf finds the row of a counter.
var rowOf = func() (rows [Number]*Row) {
	for i := range table {
		rows[table[i].Counter] = &table[i]
	}
	return rows
}()

// Row returns the row of c.
func (c Counter) Row() Row { return *rowOf[c] }

// String returns the key of c.
func (c Counter) String() string { return rowOf[c].Key }

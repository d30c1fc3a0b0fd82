package control

import "time"

// IPsecStats is one row of `show crypto ipsec stats`: what the data plane of a
// context has carried and dropped since its worker started.
type IPsecStats struct {
	Context string    `json:"context"`
	Since   time.Time `json:"since"` // when the worker started
	// Offloads are those of the kernel and the devices that are in use now: gso,
	// gro, tun_tcp, tun_udp; and crew where there are processors for one.
	Offloads []string `json:"offloads"`
	// DropClearIn are packets that came in clear over an interface with a crypto
	// map, and claimed a source inside or went where nothing may go in clear.
	// The kernel has dropped them, since the context was built.
	DropClearIn uint64 `json:"drop_clear_in"`
	IPsecCounters
}

// IPsecCounters are packets and bytes; a drop counts by its cause.
type IPsecCounters struct {
	PacketsIn  uint64 `json:"packets_in"`  // inner packets delivered to the TUN
	BytesIn    uint64 `json:"bytes_in"`    // their bytes
	PacketsOut uint64 `json:"packets_out"` // inner packets sealed and sent
	BytesOut   uint64 `json:"bytes_out"`   // their bytes
	IKEIn      uint64 `json:"ike_in"`
	IKEOut     uint64 `json:"ike_out"`
	Keepalives uint64 `json:"keepalives"` // RFC 3948 section 2.3

	Fragmented    uint64 `json:"fragmented"`      // inner packets fragmented before sealing
	TooBigSent    uint64 `json:"too_big_sent"`    // ICMP "too big" written into the TUN
	ReceiveErrors uint64 `json:"receive_errors"`  // errors that sockets reported
	SuperPackets  uint64 `json:"super_packets"`   // joined packets written to the TUN
	DropReports   uint64 `json:"reports_dropped"` // reports that nobody took in time

	// What was dropped, by cause: packets, and their bytes as they were at hand
	// then: outer ones before they are opened and after they are sealed.
	DropMuted          uint64 `json:"drop_muted"` // this node is standby
	DropMutedBytes     uint64 `json:"drop_muted_bytes"`
	DropMalformed      uint64 `json:"drop_malformed"` // outer or inner packet is no packet
	DropMalformedBytes uint64 `json:"drop_malformed_bytes"`
	DropSPI            uint64 `json:"drop_spi"` // no SA with this SPI
	DropSPIBytes       uint64 `json:"drop_spi_bytes"`
	DropReplay         uint64 `json:"drop_replay"` // seen before, or too old
	DropReplayBytes    uint64 `json:"drop_replay_bytes"`
	DropIntegrity      uint64 `json:"drop_integrity"` // not authentic
	DropIntegrityBytes uint64 `json:"drop_integrity_bytes"`
	DropSelector       uint64 `json:"drop_selector"` // inner addresses that the SA must not carry
	DropSelectorBytes  uint64 `json:"drop_selector_bytes"`
	DropDummy          uint64 `json:"drop_dummy"` // traffic flow confidentiality, next header 59
	DropDummyBytes     uint64 `json:"drop_dummy_bytes"`
	DropECN            uint64 `json:"drop_ecn"` // congestion marked on a flow that cannot carry it (RFC 6040)
	DropECNBytes       uint64 `json:"drop_ecn_bytes"`
	DropPolicy         uint64 `json:"drop_policy"` // multicast, or its SA went while it was on its way
	DropPolicyBytes    uint64 `json:"drop_policy_bytes"`
	DropClear          uint64 `json:"drop_clear"` // no SA stands for what must not leave in clear
	DropClearBytes     uint64 `json:"drop_clear_bytes"`
	DropSequence       uint64 `json:"drop_sequence"` // sequence numbers used up, or not yet reserved
	DropSequenceBytes  uint64 `json:"drop_sequence_bytes"`
	DropVolume         uint64 `json:"drop_volume"` // volume limit reached
	DropVolumeBytes    uint64 `json:"drop_volume_bytes"`
	DropTooBig         uint64 `json:"drop_too_big"` // larger than the path; the sender was told
	DropTooBigBytes    uint64 `json:"drop_too_big_bytes"`
	DropNoSocket       uint64 `json:"drop_no_socket"` // no outer socket at the SA's local address
	DropNoSocketBytes  uint64 `json:"drop_no_socket_bytes"`
	DropSend           uint64 `json:"drop_send"` // the network refused the packet
	DropSendBytes      uint64 `json:"drop_send_bytes"`
	DropDeliver        uint64 `json:"drop_deliver"` // the TUN refused the packet
	DropDeliverBytes   uint64 `json:"drop_deliver_bytes"`
	DropOverload       uint64 `json:"drop_overload"` // came faster than it could be opened
	DropOverloadBytes  uint64 `json:"drop_overload_bytes"`
	DropRate           uint64 `json:"drop_rate"` // beyond the bandwidth or the packets of the class
	DropRateBytes      uint64 `json:"drop_rate_bytes"`
}

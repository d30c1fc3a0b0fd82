package plane

import "sync/atomic"

// Stats are the counters of one plane since New: what passed, and every cause
// for which a packet was dropped.
type Stats struct {
	PacketsIn  uint64 // inner packets delivered to the TUN
	BytesIn    uint64 // their bytes
	PacketsOut uint64 // inner packets sealed and sent
	BytesOut   uint64 // their bytes
	IKEIn      uint64
	IKEOut     uint64
	Keepalives uint64 // RFC 3948 section 2.3

	Fragmented    uint64 // inner packets fragmented before sealing
	TooBigSent    uint64 // ICMP "too big" written into the TUN
	ReceiveErrors uint64 // errors that sockets reported
	SuperPackets  uint64 // joined packets written to the TUN
	DropReports   uint64 // reports that nobody took in time

	// What was dropped, by cause: packets, and their bytes as they were at hand
	// then: outer ones before they are opened and after they are sealed.
	DropMuted          uint64 // this node is standby
	DropMutedBytes     uint64
	DropMalformed      uint64 // outer or inner packet is no packet
	DropMalformedBytes uint64
	DropSPI            uint64 // no SA with this SPI
	DropSPIBytes       uint64
	DropReplay         uint64 // seen before, or too old
	DropReplayBytes    uint64
	DropIntegrity      uint64 // not authentic
	DropIntegrityBytes uint64
	DropSelector       uint64 // inner addresses that the SA must not carry
	DropSelectorBytes  uint64
	DropDummy          uint64 // traffic flow confidentiality, next header 59
	DropDummyBytes     uint64
	DropECN            uint64 // congestion marked on a flow that cannot carry it (RFC 6040)
	DropECNBytes       uint64
	DropPolicy         uint64 // multicast, or its SA went while it was on its way
	DropPolicyBytes    uint64
	DropClear          uint64 // no SA stands for what must not leave in clear
	DropClearBytes     uint64
	DropSequence       uint64 // sequence numbers used up, or not yet reserved
	DropSequenceBytes  uint64
	DropVolume         uint64 // volume limit reached
	DropVolumeBytes    uint64
	DropTooBig         uint64 // larger than the path; the sender was told
	DropTooBigBytes    uint64
	DropNoSocket       uint64 // no outer socket at the SA's local address
	DropNoSocketBytes  uint64
	DropSend           uint64 // the network refused the packet
	DropSendBytes      uint64
	DropDeliver        uint64 // the TUN refused the packet
	DropDeliverBytes   uint64
	DropOverload       uint64 // came faster than it could be opened
	DropOverloadBytes  uint64
	DropRate           uint64 // beyond the bandwidth or the packets of the class
	DropRateBytes      uint64
}

// counters are the atomics behind Stats, one set per goroutine so that cores
// do not share cache lines.
type counters struct {
	v     [statCount]atomic.Uint64
	bytes [statCount]atomic.Uint64 // of drops
	_     [64]byte
}

// stat names one counter.
type stat uint8

const (
	statPacketsIn stat = iota
	statBytesIn
	statPacketsOut
	statBytesOut
	statIKEIn
	statIKEOut
	statKeepalives
	dropMuted
	dropMalformed
	dropSPI
	dropReplay
	dropIntegrity
	dropSelector
	dropDummy
	dropECN
	dropPolicy
	dropClear
	dropSequence
	dropVolume
	dropTooBig
	dropNoSocket
	dropSend
	dropDeliver
	dropOverload
	dropRate
	statFragmented
	statTooBigSent
	statReceiveErrors
	statSuperPackets
	dropReports
	statCount
)

func (c *counters) add(s stat, n int) { c.v[s].Add(uint64(n)) }

// drop counts packets that were dropped.
func (c *counters) drop(s stat, packets, bytes int) {
	if packets > 0 {
		c.v[s].Add(uint64(packets))
		c.bytes[s].Add(uint64(bytes))
	}
}

// addTo adds the counters to s.
func (c *counters) addTo(s *Stats) {
	for i, p := range [statCount]*uint64{
		&s.PacketsIn, &s.BytesIn, &s.PacketsOut, &s.BytesOut, &s.IKEIn, &s.IKEOut, &s.Keepalives,
		&s.DropMuted, &s.DropMalformed, &s.DropSPI, &s.DropReplay, &s.DropIntegrity, &s.DropSelector, &s.DropDummy,
		&s.DropECN, &s.DropPolicy, &s.DropClear, &s.DropSequence, &s.DropVolume, &s.DropTooBig, &s.DropNoSocket, &s.DropSend,
		&s.DropDeliver, &s.DropOverload, &s.DropRate, &s.Fragmented, &s.TooBigSent, &s.ReceiveErrors, &s.SuperPackets, &s.DropReports,
	} {
		*p += c.v[i].Load()
	}
	for i, p := range [...]*uint64{
		&s.DropMutedBytes, &s.DropMalformedBytes, &s.DropSPIBytes, &s.DropReplayBytes, &s.DropIntegrityBytes,
		&s.DropSelectorBytes, &s.DropDummyBytes, &s.DropECNBytes, &s.DropPolicyBytes, &s.DropClearBytes, &s.DropSequenceBytes,
		&s.DropVolumeBytes, &s.DropTooBigBytes, &s.DropNoSocketBytes, &s.DropSendBytes, &s.DropDeliverBytes, &s.DropOverloadBytes, &s.DropRateBytes,
	} {
		*p += c.bytes[int(dropMuted)+i].Load()
	}
}

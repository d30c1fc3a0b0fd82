package control

import "net/netip"

// ChildUp tells that a child SA is established.
type ChildUp struct {
	Peer
	SPIIn, SPIOut     uint32
	Encryption        string
	Encapsulation     string
	LocalTS, RemoteTS []string
	Child             uint64 // its number, unique in the life of the context
}

// ChildDown tells that a child SA has ended, and why.
type ChildDown struct {
	Peer
	Child  uint64
	Reason string
}

// ChildCut tells that a child SA has no room for all networks that both sides have in
// common.
type ChildCut struct {
	Peer
	Child uint64
	Lost  []string // networks that packets do not reach through it
}

// ChildNarrowed tells that the peer has answered our request for a child SA with less
// than was asked for.
type ChildNarrowed struct {
	Peer
	LocalTS, RemoteTS []string
	Lost              []string
	Detail            string // what was asked for
}

// UnknownSPI tells of ESP packets for an SPI that nobody has.
type UnknownSPI struct {
	Peer  netip.AddrPort
	SPI   uint32
	Count uint64
}

// UnknownSPIs tells of those for more SPIs than have an UnknownSPI.
type UnknownSPIs struct{ Count uint64 }

// ClearDropped tells of packets that must not leave in clear, and for which no SA
// stands.
type ClearDropped struct {
	Address netip.Addr // where the last of them went
	Count   uint64
}

// About implements Fact.
func (*ChildUp) About() About { return About{20, "child_up", LevelInfo, "child SA established"} }

// Fields implements Fact.
func (e *ChildUp) Fields(f *Fields) {
	e.fields(f)
	f.ESPSPI(4, "spi_in", &e.SPIIn)
	f.ESPSPI(5, "spi_out", &e.SPIOut)
	f.Text(6, "encryption", &e.Encryption)
	f.Text(7, "encapsulation", &e.Encapsulation)
	f.Texts(8, "local_ts", &e.LocalTS)
	f.Texts(9, "remote_ts", &e.RemoteTS)
	f.Number(10, "child", &e.Child)
}

// About implements Fact.
func (*ChildDown) About() About { return About{21, "child_down", LevelInfo, "child SA ended"} }

// Fields implements Fact.
func (e *ChildDown) Fields(f *Fields) {
	e.fields(f)
	f.Number(4, "child", &e.Child)
	f.Text(5, "reason", &e.Reason)
}

// About implements Fact.
func (*ChildCut) About() About {
	return About{22, "child_cut", LevelWarn, "child SA has no room for all networks"}
}

// Fields implements Fact.
func (e *ChildCut) Fields(f *Fields) {
	e.fields(f)
	f.Number(4, "child", &e.Child)
	f.Texts(5, "lost", &e.Lost)
}

// About implements Fact.
func (*ChildNarrowed) About() About {
	return About{23, "child_narrowed", LevelWarn, "the peer protects less than was asked for"}
}

// Fields implements Fact.
func (e *ChildNarrowed) Fields(f *Fields) {
	e.fields(f)
	f.Texts(4, "local_ts", &e.LocalTS)
	f.Texts(5, "remote_ts", &e.RemoteTS)
	f.Texts(6, "lost", &e.Lost)
	f.Text(7, "detail", &e.Detail)
}

// About implements Fact.
func (*UnknownSPI) About() About {
	return About{24, "unknown_spi", LevelInfo, "ESP packets for an unknown SPI"}
}

// Fields implements Fact.
func (e *UnknownSPI) Fields(f *Fields) {
	f.AddrPort(1, "peer", &e.Peer)
	f.ESPSPI(2, "spi", &e.SPI)
	f.Number(3, "count", &e.Count)
}

// About implements Fact.
func (*UnknownSPIs) About() About {
	return About{25, "unknown_spis", LevelInfo, "ESP packets for more unknown SPIs than are logged"}
}

// Fields implements Fact.
func (e *UnknownSPIs) Fields(f *Fields) { f.Number(1, "count", &e.Count) }

// About implements Fact.
func (*ClearDropped) About() About {
	return About{26, "clear_dropped", LevelWarn,
		"no SA stands for packets that must not leave in clear; they were dropped"}
}

// Fields implements Fact.
func (e *ClearDropped) Fields(f *Fields) {
	f.Addr(1, "address", &e.Address)
	f.Number(2, "count", &e.Count)
}

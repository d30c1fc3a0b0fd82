package control

import "net/netip"

// PeerRefused tells that a peer was turned away.
type PeerRefused struct {
	Peer     netip.AddrPort
	Identity string // unproven
	Profile  string // tunnel group; "": none was found
	Reason   string
	Notify   string // what the peer was told; "" for silence

	// What follows is set where it is what has refused the peer.
	GroupPolicy string
	Class       string
	Resource    string
	Limit       int64
	Pools       []string
	Detail      string
}

// PeerFailed tells that an exchange with a peer that we connect to, or are connected
// to, has failed.
type PeerFailed struct {
	Peer
	Profile string
	Reason  string
	Notify  string // what either side has said; "" for silence
}

// PeersRefused tells how many peers were turned away beside those of which each has
// a PeerRefused.
type PeersRefused struct{ Count uint64 }

// LimitReached tells that something was refused because of the class.
type LimitReached struct {
	Class    string
	Resource string
	Limit    int64
	Count    uint64 // refusals since it was told last
}

// HalfOpenReached tells that handshakes were refused because there are too many.
type HalfOpenReached struct{ Limit, Count uint64 }

// About implements Fact.
func (*PeerRefused) About() About { return About{40, "peer_refused", LevelWarn, "peer refused"} }

// Fields implements Fact.
func (e *PeerRefused) Fields(f *Fields) {
	f.AddrPort(1, "peer", &e.Peer)
	f.Text(2, "identity", &e.Identity)
	f.Text(3, "profile", &e.Profile)
	f.Text(4, "reason", &e.Reason)
	f.Text(5, "notify", &e.Notify)
	f.OptionalText(6, "group_policy", &e.GroupPolicy)
	f.OptionalText(7, "class", &e.Class)
	f.OptionalText(8, "resource", &e.Resource)
	f.Limit(9, "limit", &e.Limit, e.Limit != 0 || e.Resource != "")
	f.OptionalTexts(10, "pools", &e.Pools)
	f.OptionalText(11, "detail", &e.Detail)
}

// About implements Fact.
func (*PeerFailed) About() About {
	return About{41, "peer_failed", LevelWarn, "exchange with the peer failed"}
}

// Fields implements Fact.
func (e *PeerFailed) Fields(f *Fields) {
	e.fields(f)
	f.Text(4, "profile", &e.Profile)
	f.Text(5, "reason", &e.Reason)
	f.Text(6, "notify", &e.Notify)
}

// About implements Fact.
func (*PeersRefused) About() About {
	return About{42, "peers_refused", LevelWarn, "more peers refused than are logged"}
}

// Fields implements Fact.
func (e *PeersRefused) Fields(f *Fields) { f.Number(1, "count", &e.Count) }

// About implements Fact.
func (*LimitReached) About() About {
	return About{43, "limit_reached", LevelWarn, "limit of the class reached"}
}

// Fields implements Fact.
func (e *LimitReached) Fields(f *Fields) {
	f.Text(1, "class", &e.Class)
	f.Text(2, "resource", &e.Resource)
	f.Limit(3, "limit", &e.Limit, true)
	f.Number(4, "count", &e.Count)
}

// About implements Fact.
func (*HalfOpenReached) About() About {
	return About{44, "half_open_reached", LevelWarn, "too many half-open IKE SAs"}
}

// Fields implements Fact.
func (e *HalfOpenReached) Fields(f *Fields) {
	f.Number(1, "limit", &e.Limit)
	f.Number(2, "count", &e.Count)
}

package control

import (
	"net/netip"
	"time"
)

// SessionUp tells that a peer has a session. The line in the log is that of its IKE SA.
type SessionUp struct {
	Peer
	Profile     string // tunnel group
	GroupPolicy string
	Assigned    []netip.Addr
}

// SessionDown tells that a session has ended, and what it carried. The line in the log
// is that of its IKE SA.
type SessionDown struct {
	Peer
	Reason            string
	Duration          time.Duration
	BytesIn, BytesOut uint64
}

// SessionOneFamily tells that a client has its session without an address of a family that it
// has asked for.
type SessionOneFamily struct {
	Peer     netip.AddrPort
	Identity string
	Profile  string // tunnel group
	Family   string // "IPv4" or "IPv6": what it goes without
	Pools    []string
}

// About implements Fact.
func (*SessionOneFamily) About() About {
	return About{82, "session_one_family", LevelWarn,
		"no address of a family is free: the session has the other one"}
}

// Fields implements Fact.
func (e *SessionOneFamily) Fields(f *Fields) {
	f.AddrPort(1, "peer", &e.Peer)
	f.Text(2, "identity", &e.Identity)
	f.Text(3, "profile", &e.Profile)
	f.Text(4, "family", &e.Family)
	f.OptionalTexts(5, "pools", &e.Pools)
}

// About implements Fact.
func (*SessionUp) About() About { return About{80, "session_up", LevelInfo, ""} }

// Fields implements Fact.
func (e *SessionUp) Fields(f *Fields) {
	e.fields(f)
	f.Text(4, "profile", &e.Profile)
	f.Text(5, "group_policy", &e.GroupPolicy)
	f.Addrs(6, "assigned", &e.Assigned)
}

// About implements Fact.
func (*SessionDown) About() About { return About{81, "session_down", LevelInfo, ""} }

// Fields implements Fact.
func (e *SessionDown) Fields(f *Fields) {
	e.fields(f)
	f.Text(4, "reason", &e.Reason)
	f.Duration(5, "duration", &e.Duration)
	f.Number(6, "bytes_in", &e.BytesIn)
	f.Number(7, "bytes_out", &e.BytesOut)
}

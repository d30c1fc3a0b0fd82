package control

import (
	"net/netip"
	"time"
)

// Event is something that has happened: in a worker, to it, or in the supervisor.
// It is a line of the log, and one of the stream that the API has (system/events).
type Event struct {
	Time time.Time // on the wall clock
	Fact Fact
}

// Fact is what has happened, a type for each kind. Its fields are the keys of its
// line in the log, in their order.
type Fact interface {
	// About says what kind of fact it is.
	About() About
	// Fields lists the fields of the fact: once for its form on the pipe and for
	// those who read it.
	Fields(f *Fields)
}

// About is what all facts of one kind have in common.
type About struct {
	// Code is the kind on the pipe; 0: a worker cannot tell it. A code never changes
	// its meaning.
	Code uint16
	// Kind names it in the stream of events: "ike_up".
	Kind string
	// Level and Message are those of its line in the log. Without a Message it is
	// in the stream alone.
	Level   Level
	Message string
}

// Level says whom a fact concerns: docs/logging.md. The numbers are log/slog's.
type Level int

// The levels.
const (
	LevelDebug Level = -4
	LevelInfo  Level = 0
	LevelWarn  Level = 4
	LevelError Level = 8
)

// String returns "debug", "info", "warn" or "error".
func (l Level) String() string {
	switch {
	case l < LevelInfo:
		return "debug"
	case l < LevelWarn:
		return "info"
	case l < LevelError:
		return "warn"
	}
	return "error"
}

// Each gives the fields of a fact to list, in the order of the log.
func Each(fact Fact, list List) { fact.Fields(&Fields{list: list}) }

// Peer is the other side of an IKE SA, as facts about it name it.
type Peer struct {
	SA       uint64         // our SPI of the IKE SA
	Peer     netip.AddrPort // address of the other side
	Identity string         // what it calls itself; unproven before the IKE SA is up
}

// fields lists the first three fields of a fact about an IKE SA.
func (p *Peer) fields(f *Fields) {
	f.IKESPI(1, "sa", &p.SA)
	f.AddrPort(2, "peer", &p.Peer)
	f.Text(3, "identity", &p.Identity)
}

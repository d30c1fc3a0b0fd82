package replica

import (
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/ike/exchange"
)

// role is what this node is for the tenant.
type role interface {
	serves() bool  // the engine works
	listens() bool // messages of peers are taken up
	last() bool    // nobody serves the tenant when this worker ends

	// start and set return the role that follows, and what the worker has to do.
	start(to control.Activation) (role, Step, error)
	set(to control.Activation) (role, Step, error)
	open()
	retire(reason string) // ends the role

	// record writes an entry down, for whoever has to know it. It returns 0 where
	// the journal cannot hold the entry. payload, which may hold keys, is cleared and
	// the caller's again.
	record(payload []byte) journal.Position
	// account is record for what a session has behind it, which the unit that
	// serves knows.
	account(e sessionEntry)
	// reserve gives a new child SA its first sequence numbers, and returns what
	// says so; nil: it has all.
	reserve(c *sa.Change) *counterEntry
	// raise gives a child SA that has used most of its numbers more of them.
	raise(now time.Time, id uint64) error
	// tellCounters tells the twin what child SAs have carried.
	tellCounters(now time.Time)
	// dispatch lets messages leave when what they depend on is durable on both
	// nodes, and in order.
	dispatch(messages []exchange.Datagram)

	attach(s *link.Session)
	detach(reason string)
	receive(now time.Time, b []byte) error
	received(now time.Time) // behind the last of some messages
	feed(now time.Time)
	// committed says that Commit has recorded entries, push moves them to the twin.
	committed(now time.Time)
	push(now time.Time, busy bool)
	overdue()
	tend(now time.Time)
	orphaned(now time.Time)
	forsaken(now time.Time) bool
	renounce()
	relieve(now time.Time) <-chan struct{}
	quiesce(now time.Time, cancel bool)
	reconfigured()
	progress() *control.Replication
	report()
}

// alone is the role of a tenant that has no twin: nothing waits for anybody.
type alone struct {
	store *store
	host  Host
}

func (*alone) serves() bool  { return true }
func (*alone) listens() bool { return true }
func (*alone) last() bool    { return true }

// start lets child SAs that are of a pair which is no more go on.
func (a *alone) start(control.Activation) (role, Step, error) {
	for _, c := range a.store.slots.byID {
		a.store.unbind(c)
	}
	a.store.bury(a.record)
	return a, StepResume, nil
}

func (a *alone) set(control.Activation) (role, Step, error) { return a, StepNone, ErrNoTwin }
func (*alone) open()                                        {}
func (*alone) retire(string)                                {}

func (a *alone) record(payload []byte) journal.Position {
	defer clear(payload)
	return a.store.append(payload)
}

func (a *alone) account(e sessionEntry)            { a.record(a.store.account(e)) }
func (*alone) reserve(*sa.Change) *counterEntry    { return nil }
func (*alone) raise(time.Time, uint64) error       { return nil }
func (*alone) tellCounters(time.Time)              {}
func (a *alone) dispatch(list []exchange.Datagram) { a.host.Send(list) }
func (*alone) attach(s *link.Session)              { s.Close() }
func (*alone) detach(string)                       {}
func (*alone) receive(time.Time, []byte) error     { return nil }
func (*alone) received(time.Time)                  {}
func (*alone) feed(time.Time)                      {}
func (*alone) committed(time.Time)                 {}
func (*alone) push(time.Time, bool)                {}
func (*alone) overdue()                            {}
func (*alone) reconfigured()                       {}
func (*alone) tend(time.Time)                      {}
func (*alone) orphaned(time.Time)                  {}
func (*alone) forsaken(time.Time) bool             { return false }
func (*alone) renounce()                           {}
func (*alone) relieve(time.Time) <-chan struct{}   { return silent }
func (*alone) progress() *control.Replication      { return nil }
func (*alone) report()                             {}
func (a *alone) quiesce(time.Time, bool)           { a.host.Request(control.KindQuiesced, nil) }

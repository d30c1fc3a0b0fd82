// Package replica keeps what a tenant has beyond the death of its worker: in a
// journal, from which the next worker on this node goes on, and on the node of its
// twin, the worker of the same tenant there.
//
// The journal is one stream of entries: records of IKE and child SAs, counters and
// reservations of sequence numbers, what sessions have behind them, addresses that
// came back to their pools. One function applies an entry (store.apply), whether
// it is read again after a restart, repeated on the standby as it comes, or part of
// the snapshot that makes a standby the copy of its twin. An entry that cannot be
// applied costs the IKE SA that it is about, on this node and with all of its child
// SAs: a part of it would be taken for the whole. That is logged and counted
// (Progress), and what the twin says of that SA afterwards is passed over; who serves
// writes its end down.
//
// A Replica plays one role at a time, each a type: alone (there is no twin, nothing
// waits for anybody), active (every entry goes to the twin, and a message that
// depends on one leaves when the twin has acknowledged it) and standby (the entries
// of the twin are held, installed and silent). What differs between them is decided
// here and nowhere else.
//
//	          SetRole(active)
//	standby ------------------> active --+ SetRole(active), another epoch
//	        <------------------          |
//	          SetRole(standby),   ^------+
//	          StepBack
//
// It does I/O on the session with the twin and in the memory that it is given. All
// methods but Authenticate belong to one goroutine, the worker's loop.
package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// Errors that callers tell apart.
var (
	// ErrNoTwin is returned for what only one of a pair can do.
	ErrNoTwin = errors.New("replica: the context has no twin")
	// ErrStandby is returned for what only the unit that serves can do.
	ErrStandby = errors.New("replica: this unit is standby for the context: ask the active one")
	// ErrJournal is returned for a journal that cannot be read, whoever wrote it.
	ErrJournal = errors.New("the journal cannot be read")
	// ErrExhausted is returned for a child SA whose sequence numbers run out, and
	// for which there are no more: it has to be rekeyed.
	ErrExhausted = errors.New("replica: no more sequence numbers for the child SA")
)

// Host is what a Replica needs of the worker.
type Host interface {
	// Now is the clock that lifetimes are counted on.
	Now() time.Time
	// Send lets IKE messages leave.
	Send(messages []exchange.Datagram)
	// Request asks the supervisor for something, and does not wait.
	Request(kind control.Kind, body any)
	// Rebuild returns a State without SAs, and what puts it into the place of the
	// one that is in use.
	Rebuild() (fresh State, use func(), err error)
	// Install brings a change of a child SA to the data plane, whose counters are
	// in the slot of c.
	Install(c *sa.Change) error
	// Rekeyed says that an IKE SA has followed another one, both by our SPI: the child
	// SAs whose changes come next are its own. SetAccount may be called within it.
	Rekeyed(old, spi uint64)
}

// State is what entries describe beside child SAs in the data plane.
type State interface {
	// Replay applies a record of the engine, Snapshot yields those that say its
	// state, and Status describes its IKE SAs: see ike.Engine.
	Replay(now time.Time, r exchange.Record) error
	Snapshot(yield func(exchange.Record) bool)
	Status() []exchange.Status
	// Wipe forgets all IKE SAs with their keys: the State is of no use afterwards.
	Wipe()
	// Remember notes an address that came back, and Habits yields those: see
	// pool.Set.
	Remember(a netip.Addr, identity string) bool
	Habits(yield func(a netip.Addr, identity string) bool)
}

// Config is what a Replica is made of.
type Config struct {
	Log *slog.Logger
	// Tell takes what happens. It must not block.
	Tell     func(control.Fact)
	Host     Host
	Journal  Memory
	Counters *esp.Counters
	Failover *control.Failover // nil: there is no twin
	// Mute mutes the data plane, until the worker changes its role. It may be called by any
	// goroutine.
	Mute func()
}

// Replica is the journal of a tenant, its twin and the role that this node plays.
type Replica struct {
	log   *slog.Logger
	host  Host
	store *store
	twin  *twin
	role  role

	begins  control.Activation // what Start makes of it
	scratch []byte             // for the next entry of Commit; all zero
	ending  map[uint64]bool    // by our SPI: IKE SAs that end with the changes of Commit
}

// New opens the journal. A tenant with a twin begins as the standby, without what
// the journal holds: see Restore, and then Start.
func New(cfg *Config) (*Replica, error) {
	s, err := newStore(cfg)
	if err != nil {
		return nil, err
	}
	r := &Replica{log: cfg.Log, host: cfg.Host, store: s, role: &alone{store: s, host: cfg.Host}, twin: &twin{}}
	if cfg.Failover != nil {
		if r.twin, err = newTwin(cfg); err != nil {
			return nil, err
		}
		r.begins = cfg.Failover.Activation
		r.role = &standby{host: cfg.Host, store: s, twin: r.twin}
	}
	return r, nil
}

// Restore brings back what the journal holds, and returns how many IKE SAs that
// are. An error says that the journal cannot be read.
func (r *Replica) Restore() (int, error) { return r.store.restore(r.host.Now()) }

// Step is what a change of the role asks of the worker.
type Step uint8

// The steps.
const (
	StepNone     Step = iota // nothing has changed for it
	StepResume               // the engine goes on with what the journal held
	StepEpoch                // the engine serves on, with another epoch
	StepTakeOver             // the engine serves what the twin has served: after Open
	StepBack                 // the engine is silent: call Replica.StepBack
)

// Start begins the role of Config.
func (r *Replica) Start() (Step, error) { return r.change(r.role.start(r.begins)) }

// SetRole changes the role. The outbound sequence numbers of every child SA are
// beyond all that another activation may have used when it returns, and nothing else
// is done yet: what there is to do takes longer with many SAs (Open, StepBack).
// Traffic may flow once it returns, or has to stop.
func (r *Replica) SetRole(to control.Activation) (Step, error) { return r.change(r.role.set(to)) }

func (r *Replica) change(next role, step Step, err error) (Step, error) {
	if err == nil {
		r.role = next
	}
	return step, err
}

// Open makes the journal that of the activation which SetRole has begun, with what its
// epoch has changed of every child SA.
func (r *Replica) Open() { r.role.open() }

// Epoch is that of the latest activation, here or at the twin; 0: there is no twin.
func (r *Replica) Epoch() uint64 { return r.twin.epoch }

// StepBack makes this node the standby, with what its journal holds until the twin's
// snapshot is here. It returns the number of IKE SAs.
func (r *Replica) StepBack() (int, error) {
	r.role.retire("this node became standby")
	x := &standby{host: r.host, store: r.store, twin: r.twin}
	r.role = x
	n, err := r.store.restore(r.host.Now())
	if err == nil {
		x.await()
	}
	return n, err
}

// Stop ends the session with the twin, if there is one.
func (r *Replica) Stop(reason string) { r.role.detach(reason) }

// Serve calls f where this unit serves the tenant: alone, or as the active one of a
// pair. On the standby it returns ErrStandby.
func (r *Replica) Serve(f func()) error {
	if !r.role.serves() {
		return ErrStandby
	}
	f()
	return nil
}

// Last calls f where nobody serves the tenant when this worker ends: there is no
// other unit.
func (r *Replica) Last(f func()) {
	if r.role.last() {
		f()
	}
}

// WhenServing returns c where this unit serves the tenant, and otherwise a channel on
// which nothing comes.
func WhenServing[T any](r *Replica, c <-chan T) <-chan T {
	if !r.role.serves() {
		return nil
	}
	return c
}

// WhenListening is WhenServing for messages of peers, which are not taken up either
// while this unit makes ready to hand the tenant over.
func WhenListening[T any](r *Replica, c <-chan T) <-chan T {
	if !r.role.listens() {
		return nil
	}
	return c
}

// Inputs is what comes from the twin, for the worker's loop. A nil channel: nothing
// can come.
type Inputs struct {
	Received <-chan []byte    // for Receive
	Room     <-chan struct{}  // for Feed
	Pace     <-chan time.Time // for Feed
	Overdue  <-chan time.Time // for Overdue
	Tend     <-chan time.Time // for Tend
}

// Inputs returns what the loop has to listen to now. Another session has others.
func (r *Replica) Inputs() Inputs { return r.twin.inputs() }

// messagesAtOnce bounds the messages of the twin that are taken in a row: others
// wait for the loop, too.
const messagesAtOnce = 64

// Receive takes a message of the twin, and some of what else has come in behind it.
// ok is false where the session has ended.
func (r *Replica) Receive(now time.Time, b []byte, ok bool) {
	for i := 1; ; i++ {
		if !ok {
			r.role.detach(r.twin.session.Err().Error())
			return
		}
		if err := r.role.receive(now, b); err != nil {
			r.store.tell(&control.TwinLost{Reason: err.Error()})
			r.role.detach(err.Error())
			return
		}
		if i == messagesAtOnce || len(r.twin.received) == 0 {
			break
		}
		b, ok = <-r.twin.received
	}
	r.role.received(now)
	r.role.report()
}

// Push moves what Commit has made durable to the twin. It is called before the loop waits;
// busy says that it will not wait, for messages of peers have come in: then entries may
// stay for a moment, so that those of several messages travel together.
func (r *Replica) Push(now time.Time, busy bool) { r.role.push(now, busy) }

// Feed moves entries to the twin.
func (r *Replica) Feed(now time.Time) {
	r.role.feed(now)
	r.role.report()
}

// Overdue ends a session whose twin has not acknowledged in time what it was sent.
func (r *Replica) Overdue() { r.role.overdue() }

// linkTimeout bounds the authentication of a connection to the twin.
const linkTimeout = 5 * time.Second

// Authenticate proves over conn, which it owns from now on, that the twin is at the
// other end: it has the same key (failover.TenantKey). It waits for the twin, and may be called by any goroutine. The
// session is for Attach.
func (r *Replica) Authenticate(ctx context.Context, conn net.Conn, key secret.Value) (*link.Session, error) {
	handshake, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	return r.twin.authenticate(handshake, conn, key)
}

// Attach begins to replicate over a session; err is why there is none. The
// supervisor is told of the outcome.
func (r *Replica) Attach(s *link.Session, err error) {
	if err != nil {
		r.twin.told = told{}
		r.role.report()
		return
	}
	r.role.detach("a new session takes its place")
	r.role.attach(s)
}

// Quiesce lets what has begun come to its end, and tells the supervisor when the
// twin has everything. No message of a peer is taken up until the role changes, or the
// hand-over is called off.
func (r *Replica) Quiesce(now time.Time, q control.Quiesce) { r.role.quiesce(now, q.Cancel) }

// Reconfigured says that Host.Rebuild makes another State than it would have made before.
func (r *Replica) Reconfigured() { r.role.reconfigured() }

// Progress says how far the copy is; nil: there is none.
func (r *Replica) Progress() *control.Replication { return r.role.progress() }

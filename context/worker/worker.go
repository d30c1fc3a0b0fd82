// Package worker is one tenant at work: the event loop that joins the IKE
// engine, the data plane, the address pools and the journal. It is the only
// place that knows them all together.
//
// The loop is one goroutine. It takes IKE messages, reports of the data plane,
// requests of the supervisor and the passing of time, gives each to the engine
// and carries out what the engine returns, in the order that exchange.Output
// documents: changes are journalled and installed before a message leaves that
// tells the peer of them.
//
// A worker that dies leaves the journal and the counters behind in memory files
// that the supervisor holds; the next one replays them and goes on (New). It
// does I/O only through what it is given: it opens nothing by itself.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/capture"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

const (
	// reportsSize bounds the reports that wait; all that matter are repeated.
	reportsSize = 256
	// housekeeping is how often sessions are looked at: for traffic, which
	// proves that a peer lives, and for idle sessions.
	housekeeping = time.Second
)

// Config is what a worker is made of. The worker owns devices and sockets from
// New on.
type Config struct {
	Tenant  *spec.Tenant
	Devices []tun.Device
	Sockets []plane.Socket

	// Journal and Counters are the mappings of the two memory files; what they
	// hold of an earlier worker is continued.
	Journal, Counters Memory

	// Ask sends a request to the supervisor and waits for the answer. It is
	// called from goroutines of its own.
	Ask func(ctx context.Context, kind control.Kind, body any) error

	// Claim makes a claim of the supervisor. It is called as Ask is. nil: there is
	// nobody to share with, and enough of everything.
	Claim func(context.Context, control.Claim) (control.Grant, error)

	// Isolate makes an internal error in what concerns one IKE SA end that SA
	// instead of the worker.
	Isolate bool

	// Clock is control.Boot's.
	Clock int64

	// Failover says how the tenant is paired with the same one on another node;
	// nil: it is not.
	Failover *control.Failover

	Log *slog.Logger
}

// Worker is one tenant at work. Run it once; the other methods may be called by
// any goroutine while it runs.
type Worker struct {
	tenant *spec.Tenant
	log    *slog.Logger

	engine   *ike.Engine
	isolate  bool // of every engine
	plane    *plane.Plane
	ledger   *ledger
	counters *esp.Counters
	children *children
	standing *standing
	clearTo  netip.Addr              // where the last packet went that no SA stood for
	past     map[uint64]sessionEntry // by our SPI
	sessions *session.Table
	limits   limits
	syslogs  *syslogs
	refusals refusals
	clients  map[uint64]exchange.AddressAssigned // by our SPI: what gateways gave us

	inbox      *inbox
	reports    chan plane.Report
	calls      chan func(now time.Time)
	supervisor *supervisor

	clock   *clock
	started time.Time // by the wall clock
	ready   chan struct{}
	out     exchange.Output

	captures *capture.Set

	twin *twin        // nil: none
	role control.Role // with a twin: what to begin as

	broken error // why the loop cannot go on
}

// New builds the tenant from what the journal holds. It sends nothing yet.
func New(cfg *Config) (*Worker, error) {
	lines := &syslogs{}
	w := &Worker{
		log:     slog.New(lines.limit(cfg.Log.Handler())),
		syslogs: lines,
		limits:  newLimits(cfg.Log),
		isolate: cfg.Isolate,
		clients: make(map[uint64]exchange.AddressAssigned),
		inbox:   newInbox(),
		reports: make(chan plane.Report, reportsSize),
		calls:   make(chan func(time.Time)),
		clock:   newClock(cfg.Clock),
		started: time.Now(), ready: make(chan struct{}),
	}
	w.refusals = newRefusals(w.log)
	w.supervisor = &supervisor{
		log: w.log, ask: cfg.Ask, ration: cfg.Claim, calls: w.calls, granted: w.granted,
		requests: make(chan request, requestsSize), claims: make(chan control.Claim, claimsSize),
	}
	if w.supervisor.ration == nil {
		w.supervisor.ration = enough
	}
	var err error
	if w.twin, err = newTwin(cfg.Failover); err != nil {
		closeAll(cfg)
		return nil, err
	}
	if w.twin != nil {
		w.role = cfg.Failover.Role
	}
	if w.counters, err = esp.NewCounters(cfg.Counters.Bytes); err != nil {
		closeAll(cfg)
		return nil, unreadable(fmt.Errorf("worker: laying out counters: %w", err))
	}
	w.plane, err = plane.New(&plane.Config{
		Log:      w.log,
		Devices:  cfg.Devices,
		Sockets:  cfg.Sockets,
		Counters: w.counters,
		Options:  planeOptions(cfg.Tenant),
		Muted:    w.twin != nil,
		IKE:      w.receive,
		Report:   w.report,
	})
	if err != nil {
		return nil, fmt.Errorf("worker: building the data plane: %w", err)
	}
	w.captures = capture.NewSet(w.log, w.plane.SetTaps)
	if w.engine, err = w.newEngine(cfg.Tenant); err != nil {
		return nil, err
	}
	w.children, w.past = newChildren(w.counters.Len()), map[uint64]sessionEntry{}
	if w.sessions, err = session.New(cfg.Tenant, nil); err != nil {
		return nil, err
	}
	w.tenant, w.standing = cfg.Tenant, newStanding(cfg.Tenant)
	w.limit(cfg.Tenant.Limits)
	if w.ledger, err = openLedger(cfg.Journal); err != nil {
		return nil, unreadable(fmt.Errorf("worker: opening the journal: %w", err))
	}
	if err := w.restore(w.clock.now()); err != nil {
		return nil, unreadable(err)
	}
	return w, nil
}

// unreadable marks the error of a worker that cannot go on from the memory that
// it was given, so that the supervisor gives it another.
func unreadable(err error) error { return &control.Error{Cause: control.CauseMemory, Err: err} }

// newEngine builds the engine of a tenant, which tells the inbox of its SPIs.
func (w *Worker) newEngine(t *spec.Tenant) (*ike.Engine, error) {
	cfg := engineConfig(t)
	cfg.Known = w.inbox.note
	engine, err := ike.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("worker: building the engine: %w", err)
	}
	if w.isolate {
		engine.Isolate()
	}
	return engine, nil
}

// closeAll gives back what plane.New would have taken over.
func closeAll(cfg *Config) {
	for _, d := range cfg.Devices {
		d.Close()
	}
	for _, s := range cfg.Sockets {
		if s.File != nil {
			s.File.Close()
		}
		if s.Conn != nil {
			s.Conn.Close()
		}
	}
}

// giveUp tells that a record cannot be used, which the engine has forgotten the SA
// for: all others are worth more than that one.
func (w *Worker) giveUp(spi uint64, err error) {
	w.log.Error("record cannot be used, its IKE SA is given up", "sa", spiText(spi), "reason", err)
}

// readable tells of an entry whose record cannot be read, and reports whether there is
// something to apply: the record, or the end of its SA in its place.
func (w *Worker) readable(e entry) bool {
	if e.lost != nil {
		var spi uint64
		if e.record != nil {
			spi = e.record.SPI
		}
		w.giveUp(spi, e.lost)
	}
	return e.record != nil
}

// restore brings back what an earlier worker had.
func (w *Worker) restore(now time.Time) error {
	reservations := make(map[uint64]counterEntry)
	err := w.ledger.replay(func(e entry) error {
		if e.session != nil {
			w.past[e.session.spi] = *e.session
			return nil
		}
		if e.habit != nil {
			w.sessions.Pools().Remember(e.habit.addr, e.habit.identity)
			return nil
		}
		if e.counters != nil {
			reservations[e.counters.child] = *e.counters
			return nil
		}
		if !w.readable(e) {
			return nil
		}
		if e.record.Child != nil {
			w.children.replay(e.record.Child)
		}
		if err := w.engine.Replay(now, *e.record); err != nil {
			w.giveUp(e.record.SPI, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("worker: replaying the journal: %w", err)
	}
	alive := make(map[uint64]uint64)
	all := w.engine.Status()
	maps.DeleteFunc(w.past, func(spi uint64, _ sessionEntry) bool {
		return !slices.ContainsFunc(all, func(s exchange.Status) bool { return s.Peer.SPI == spi })
	})
	for _, s := range all {
		w.adoptSession(now, s)
		for _, c := range s.Children {
			alive[c.ID] = s.Peer.SPI
		}
	}
	w.children.settle(alive)
	w.recount(w.tenant)
	for _, s := range all {
		for _, c := range s.Children {
			ch := sa.Change{Op: sa.OpAdd, Child: c}
			w.children.fill(&ch)
			if err := w.plane.Apply(&ch); err != nil {
				return fmt.Errorf("worker: installing child SA %v again: %w", c.In.SPI, err)
			}
			if r, ok := reservations[c.ID]; ok {
				p := w.children.byID[c.ID]
				p.reservation = r.reservation
				w.children.byID[c.ID] = p
			}
		}
	}
	if len(all) > 0 {
		w.log.Info("security associations restored", "count", len(all))
	}
	return nil
}

// Logoff ends the sessions that which names, with a DELETE to each peer, and
// returns their number.
func (w *Worker) Logoff(ctx context.Context, which control.Logoff) (int, error) {
	count := 0
	err := w.do(ctx, func(now time.Time) error {
		if !w.twin.speaks() {
			return errStandby
		}
		for _, s := range w.engine.Status() {
			if s.Established.IsZero() || !matches(which, s) {
				continue
			}
			w.command(now, exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: "logged off by the operator"})
			count++
		}
		w.carry(now)
		return nil
	})
	return count, err
}

// errStandby is returned for what only the active node can do.
var errStandby = errors.New("worker: this unit is standby for the context: ask the active one")

// matches reports whether which names the session of s.
func matches(which control.Logoff, s exchange.Status) bool {
	if which.All || which.User != "" && which.User == s.Peer.RemoteID {
		return true
	}
	if !which.Address.IsValid() {
		return false
	}
	for _, a := range append([]netip.Addr{s.Peer.Remote.Addr()}, s.Session.Addresses...) {
		if a == which.Address {
			return true
		}
	}
	return false
}

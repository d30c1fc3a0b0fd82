// Package lifecycle is the configuration of a system in its life: what the files say, what
// is running, the versions before it, and the way from one to the next: reload, apply with
// its confirmation and rollback, write memory, and what the other unit of a pair sends.
//
// It reads and writes the files of the configuration and the history in state_dir, and asks
// servers. What is to be done to contexts is decided by package plan and done by an Actor.
package lifecycle

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// Config is what a Lifecycle needs.
type Config struct {
	Startup *Startup // decided
	// Check says which texts of contexts may be parsed in this process; nil: all.
	Check Checker
	Actor Actor // does to contexts what a plan says
	// Keeper, which may be nil, has the disks of contexts that are removed.
	Keeper Keeper
	// WriteDisk writes a file on disk0: of a context, named as in "blue:disk0:/path".
	WriteDisk func(ctx context.Context, name string, body []byte) error
	// PendingDisks waits for a while for the standby unit to have such files, and returns
	// those that it has not; nil: there is no standby unit.
	PendingDisks func(ctx context.Context, names []string) []string
	// Active tells whether a failover group is active on this unit; nil: a node alone.
	Active func(group string) bool
	// Refuses, which may be nil, says what stands against a configuration at the moment,
	// beside what is in it.
	Refuses func(next *configs.System) error
	// Changed, which may be nil, is told what is running, once for each change and in their
	// order. The change ends when it returns; no lock of the Lifecycle is held, so that
	// it may ask what is running, but it must start no change.
	Changed func(*configs.System)
	// Other is the other unit of the pair; nil: a node alone.
	Other Other
	// Now is the clock of versions and confirmations.
	Now func() time.Time
	// Key of fingerprints is secret and lives as long as the process; nil: a random one.
	Key []byte
	// Events takes what happens to the configuration; nil: nobody reads it.
	Events *events.Hub
	Log    *slog.Logger
}

// Lifecycle is the configuration in its life. There is one change at a time; a second one
// is refused. Its methods may be called from several goroutines at once.
type Lifecycle struct {
	cfg  Config
	path string // of the system file
	log  *slog.Logger
	// load reads the startup configuration for a change and keeps copies of what servers
	// sent; look reads it without side effects.
	load, peek func(ctx context.Context, how reading) (*loaded, error)
	// stored reads one source of it.
	stored  configs.Loader
	history *history // belongs to the holder of the token
	// release ends what is tolerated of the other unit while a version waits to be
	// confirmed; nil: nothing is. It belongs to the holder of the token.
	release func()
	planKey []byte          // of the digests in a Basis
	ran     *configs.System // before this process, where that is known and another one
	// expiry fires when a confirmation is overdue.
	expiry  *time.Timer
	digests digests
	// turn holds one token: whoever has it may change what is running.
	turn chan struct{}

	mu      sync.Mutex // protects what follows; the holder of the token changes it
	current state
	doing   string // what the holder of the token does
}

// New returns the Lifecycle of what cfg.Startup has decided. Nothing runs, and every change
// is refused, until Begin.
func New(cfg *Config) *Lifecycle {
	path, check := cfg.Startup.path, orUnchecked(cfg.Check)
	l := &Lifecycle{
		cfg: *cfg, path: path, log: cfg.Log, stored: host.Files{}, history: cfg.Startup.history,
		planKey: cfg.Startup.planKey, ran: cfg.Startup.ran,
		load:   func(ctx context.Context, how reading) (*loaded, error) { return load(ctx, path, check, how) },
		peek:   func(ctx context.Context, how reading) (*loaded, error) { return peek(ctx, path, check, how) },
		expiry: time.NewTimer(time.Hour), turn: make(chan struct{}, 1),
		current: cfg.Startup.chosen, doing: "warrend starts",
	}
	l.cfg.Check = check
	if l.cfg.Key == nil {
		l.cfg.Key = make([]byte, 32)
		rand.Read(l.cfg.Key)
	}
	l.expiry.Stop()
	if p := l.current.pend; p.open() {
		l.expiry.Reset(p.Deadline.Sub(l.cfg.Now()))
	}
	return l
}

// Running is the configuration that runs.
func (l *Lifecycle) Running() *configs.System { return l.snapshot().running.conf }

// Problems are the contexts for which something earlier runs than what the files say, and
// "" for the system file, or for all of it.
func (l *Lifecycle) Problems() []fault.ContextError {
	st := l.snapshot()
	list := slices.Clone(st.running.problems)
	if st.pend != nil && st.pend.Kept != "" {
		list = append(list, fault.ContextError{
			Error: fmt.Sprintf("version %d was not confirmed in time and goes on, as version %d cannot run now: %s",
				st.pend.Version, st.pend.Previous, st.pend.Kept),
			Hint: fmt.Sprintf("`warren confirm` keeps it; to give it up, mend that, then `warren rollback %d`",
				st.pend.Previous),
		})
	}
	if st.pend != nil && st.pend.Rejected && !st.pend.Answered {
		list = append(list, fault.ContextError{
			Error: fmt.Sprintf(
				"version %d, which is what the files say, was not confirmed in time: version %d runs instead",
				st.pend.Version, st.number),
			Hint: "`warren apply` runs what the files say, `warren write memory` writes what runs into them",
		})
	}
	return list
}

// tell tells what has happened to the configuration.
func (l *Lifecycle) tell(f control.Fact) { l.cfg.Events.Tell(l.log, "", f) }

// Wanted is what the configuration that runs wants of every context.
func (l *Lifecycle) Wanted() []*plan.Wanted { return plan.Want(l.Running(), l.cfg.Key) }

// Close waits for a change that is under way; there is no other after it.
func (l *Lifecycle) Close() { <-l.turn }

// state is what is running.
type state struct {
	running  *loaded
	is       []*plan.Wanted
	number   int       // of the version; 0: it could not be kept
	versions []version // that are kept
	pend     *pending  // nil: nothing waits, and nothing was rejected
}

// warrend is the author of what nobody asked for.
var warrend = Author{Name: "warrend"}

// snapshot returns what is running.
func (l *Lifecycle) snapshot() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// setState changes what is running. It is for the holder of the token, which keeps the calls
// of Changed in order.
func (l *Lifecycle) setState(st state) {
	st.versions = l.history.all()
	l.mu.Lock()
	was := l.current.running.conf
	l.current = st
	l.mu.Unlock()
	l.cfg.Check.RequireSandbox(st.running.conf.RequireSandbox)
	l.setAside(was, st.running)
	if l.cfg.Changed != nil {
		l.cfg.Changed(st.running.conf)
	}
	if l.release != nil && !st.pend.open() {
		l.release()
		l.release = nil
	}
}

// lock takes the token, or says who has it.
func (l *Lifecycle) lock(what string, by Author) error {
	select {
	case <-l.turn:
		l.noteHolder(what, by)
		return nil
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "another change is under way, so nothing was changed: " + l.doing,
		Hint: "try again when it has ended",
	}
}

// UnderWay says which change is being made, by whom and since when, as in "an apply by root
// since 18:23:09 UTC": another one is refused meanwhile. "": none is.
func (l *Lifecycle) UnderWay() string {
	if len(l.turn) > 0 {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doing
}

func (l *Lifecycle) noteHolder(what string, by Author) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doing = fmt.Sprintf("%s by %s since %s", what, by.Name, l.cfg.Now().UTC().Format("15:04:05 UTC"))
}

// unlock gives the token back.
func (l *Lifecycle) unlock() { l.turn <- struct{}{} }

// Start runs what was decided, as far as it can be, and allows changes from then on.
func (l *Lifecycle) Start(ctx context.Context) {
	st := l.snapshot()
	if l.ran != nil {
		l.bringBack(l.ran, st.running)
	}
	wants := plan.Want(st.running.conf, l.cfg.Key)
	c := &change{
		act: l.cfg.Actor, report: l.log.Error,
		Transition: plan.Transition{To: st.running.conf.Totals, Steps: plan.Steps(nil, wants)},
	}
	var errs []fault.ContextError
	st.is, errs = c.reconcile(ctx)
	for _, e := range errs {
		l.log.Error("context cannot start", "tenant", e.Context, "reason", e.Error)
	}
	l.setAsideGone(st.running)
	l.setState(st)
	l.unlock()
}

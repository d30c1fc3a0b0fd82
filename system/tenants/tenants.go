// Package tenants runs the contexts of a host: each is built (control group, namespace,
// devices, worker), watched, changed in place and taken apart by one goroutine of its own.
// What is to be done it is told as a lifecycle.Actor; what failover wants of a context
// passes through a Pair. It does I/O, and never parses a packet from the network.
//
// What is wrong with one context stays with that context.
package tenants

import (
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// builders is how many contexts are built or taken apart at once. The kernel does most of
// that under one lock.
const builders = 8

// configureTimeout bounds how long a reload waits for one worker.
const configureTimeout = 10 * time.Second

// Config is what Tenants need. All fields but Pair, Store and Kept must be set.
type Config struct {
	System  string // its name: names and users of contexts derive from it
	Host    *netns.Host
	Groups  *cgroup.Manager
	Records string // directory for records of what was taken from the host
	Disks   *disks.Disks
	Pair    Pair // nil: a node alone
	// Changed is told whenever the state of a context may have changed. It must not block.
	Changed func()
	// Events takes what happens in contexts and to them; nil: nobody reads it.
	Events *events.Hub

	// Store keeps workers for the next life of the supervisor, and Kept are those of the
	// one before. nil: workers end with this process.
	Store *fdstore.Store
	Kept  *Kept

	Worker    string   // path of the program warren-context
	Stderr    *os.File // where workers log to
	LogFormat string   // of the workers: "text" or "json"
	LogLevel  string
	Log       *slog.Logger
}

// Pair is what failover is told of contexts, and what it wants of them. Its methods may be
// called from several goroutines at once.
type Pair interface {
	// Paired tells whether a context is one of a pair.
	Paired(w *plan.Wanted) bool
	// Role is the role of a context as `show context` prints it.
	Role(w *plan.Wanted) string
	// Twin is what the worker of a context is told about the pair; nil: nothing.
	Twin(w *plan.Wanted) *spawn.Failover
	// Join makes a context that has been built play the role of its group, until Part.
	Join(w *plan.Wanted, gateway *netns.Gateway, worker *spawn.Worker)
	// Part forgets a context, before it is taken apart.
	Part(name string)
}

// alone is the Pair of a node alone.
type alone struct{}

func (alone) Paired(*plan.Wanted) bool                         { return false }
func (alone) Role(*plan.Wanted) string                         { return "active" }
func (alone) Twin(*plan.Wanted) *spawn.Failover                { return nil }
func (alone) Join(*plan.Wanted, *netns.Gateway, *spawn.Worker) {}
func (alone) Part(string)                                      {}

// env is what all contexts have in common.
type env struct {
	Config
	slots chan struct{} // one token for each context that is being built
	rests *rests
	// begun says that every context has begun that this process has started with, or that
	// some were there before it.
	begun atomic.Bool
}

// Tenants are the contexts that run on a host. It is a lifecycle.Actor. Its methods may be
// called from several goroutines at once, but those of the Actor by one change at a time.
type Tenants struct {
	env  *env
	uids *uids // belongs to the change that is under way

	mu     sync.Mutex         // protects byName
	byName map[string]*tenant // the contexts
}

// New returns Tenants of which none runs.
func New(cfg *Config) *Tenants {
	e := &env{Config: *cfg, slots: make(chan struct{}, builders), rests: newRests()}
	if e.Pair == nil {
		e.Pair = alone{}
	}
	s := &Tenants{env: e, uids: newUIDs(cfg.System), byName: make(map[string]*tenant)}
	e.begun.Store(cfg.Kept.Any())
	cfg.Kept.reserve(s.uids)
	return s
}

// Close ends all contexts, and waits until nothing is left of them.
func (s *Tenants) Close() {
	var names []string
	for _, t := range s.list() {
		names = append(names, t.name)
	}
	s.Stop(names)
}

// list returns the contexts in the order of their names.
func (s *Tenants) list() []*tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.AppendSeq(make([]*tenant, 0, len(s.byName)), maps.Values(s.byName))
	slices.SortFunc(list, func(a, b *tenant) int { return strings.Compare(a.name, b.name) })
	return list
}

// tenant returns a context, nil if there is none.
func (s *Tenants) tenant(name string) *tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

// AllSettled tells whether every context is ready, or has failed to become so. It is asked
// after every change of one of them, and answers at the first that is not.
func (s *Tenants) AllSettled() bool {
	s.mu.Lock()
	list := slices.AppendSeq(make([]*tenant, 0, len(s.byName)), maps.Values(s.byName))
	s.mu.Unlock()
	settled := !slices.ContainsFunc(list, func(t *tenant) bool {
		state, _ := t.condition()
		return state != StateReady && state != StateFailed && state != StateSuspended
	})
	if settled {
		s.env.begun.Store(true)
	}
	return settled
}

// Condition is the state of a context, and why it is that.
type Condition struct {
	Name   string
	State  State
	Reason string
}

// Conditions are those of all contexts, in the order of their names. No worker is asked.
func (s *Tenants) Conditions() []Condition {
	list := s.list()
	out := make([]Condition, 0, len(list))
	for _, t := range list {
		state, reason := t.condition()
		out = append(out, Condition{t.name, state, reason})
	}
	return out
}

// Problems are what is not as it should be although a context may run.
func (s *Tenants) Problems() []fault.ContextError {
	var out []fault.ContextError
	for _, t := range s.list() {
		out = append(out, t.problems()...)
	}
	return out
}

// Rows are all contexts for `show context`, in the order of their names. No worker is asked.
func (s *Tenants) Rows() []Row {
	var rows []Row
	for _, t := range s.list() {
		rows = append(rows, t.row())
	}
	return rows
}

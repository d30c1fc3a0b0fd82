// Package spawn is the supervisor's side of a worker: it starts the process
// without privileges inside the tenant's namespace and group, hands it its
// descriptors, watches it, replaces it when it dies or hangs, and stops it.
// Sockets, TUN device and memory files stay open here, so that a new worker
// goes on where the old one was.
//
// It does I/O. It takes the worker for hostile: what it may ask for is a short
// list, each checked by package netns.
package spawn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/confine"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/uptime"
	"github.com/warrenvpn/warren/resource"
)

// How a worker is treated.
const (
	// bootTimeout is what a worker gets to become ready; it needs milliseconds,
	// and more with ten thousand SAs in its journal or next to no CPU.
	bootTimeout = 30 * time.Second
	// stopTimeout is what a worker gets to say goodbye to its peers.
	stopTimeout = 3 * time.Second
	// exitTimeout is what it gets to exit after that.
	exitTimeout = time.Second
	// killTimeout is what processes that a worker has left get to be gone.
	killTimeout = 5 * time.Second
	// The first replacement comes at once, the next after backoffFirst, each
	// later one after twice that, to backoffMost; a worker that was ready for
	// stableAfter starts afresh.
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
	stableAfter  = 30 * time.Second
)

// ErrNotReady is the error of a call while there is no worker to answer it.
var ErrNotReady = errors.New("spawn: the worker is not ready")

// Refused is the error of a call that the worker has answered with a refusal.
type Refused = pipe.Failure

// Network is what a worker needs of its netns.Gateway.
type Network interface {
	Do(fn func() error) error
	Endpoints() []netns.Endpoint
	Address(control.Address) error
	Routes(control.Routes) error
	Sniff(iface string) (*os.File, error)
	Connect(control.Connect) ([]*os.File, error)
}

// Group confines a worker: a resource/cgroup.Group.
type Group interface {
	Add(pid int) error
	Kill(context.Context) error
	OOMKills() int64
}

// Config is what a Worker needs.
type Config struct {
	Tenant  *spec.Tenant
	Binary  string // path of warren-context
	UID     uint32 // of this worker alone; also its group
	Network Network
	Group   Group
	// MemoryLimit is the cap on the worker's memory, in bytes, so that it can
	// mind it; 0: none.
	MemoryLimit int64
	// Stderr is the log. The worker never has it: its lines are read from a pipe,
	// bounded and checked, and written there.
	Stderr    *os.File
	LogFormat string // "text" or "json"
	LogLevel  string
	Log       *slog.Logger // carries the tenant
	// Event, which may be nil, takes what happens in the worker and to it. It must not
	// block.
	Event func(control.Event)
	// RequireSandbox refuses to start a worker where the kernel lacks a part of what
	// confines it. Otherwise what is missing is logged.
	RequireSandbox bool
	// Claim answers the worker's claims to what the contexts share; nil: there is
	// nothing to be had. It must not block.
	Claim    func(control.Claim) (control.Grant, error)
	Failover *Failover // nil: there is no other node
	// Keeper keeps the worker for the next supervisor, as KeepAs, with a Note for it
	// and its UID. nil: the worker ends with this process.
	Keeper Keeper
	KeepAs string
	Note   string
	// Changed, which may be nil, is called after every change of Status. It
	// must not block.
	Changed func()
}

func (c *Config) validate() error {
	switch {
	case c.Tenant == nil || c.Tenant.Name == "":
		return errors.New("spawn: no tenant")
	case c.Network == nil || c.Group == nil || c.Log == nil || c.Stderr == nil:
		return errors.New("spawn: network, group, log and stderr are needed")
	case c.UID == 0:
		return errors.New("spawn: a worker does not run as root")
	case c.Failover != nil && (c.Failover.Replication == nil || c.Failover.Quiesced == nil):
		return errors.New("spawn: a twin needs somebody to tell")
	}
	return nil
}

// Status is how a worker is.
type Status struct {
	Ready    bool
	Reason   string // why it is not ready, or the last loss
	PID      int    // 0: there is no process
	Restarts int
	Started  time.Time       // of the process; zero: there is none
	Losses   int             // in a row, without a stable worker between them
	Silences int             // processes that were ended because they did not answer
	Sandbox  control.Sandbox // of the process
	Build    string          // of its program; empty: it has not booted
}

// Worker is the worker of one tenant, through all its processes. It implements
// task.Task; its methods may be called from several goroutines at once.
type Worker struct {
	cfg      Config
	ready    chan struct{}
	once     sync.Once
	roleTurn chan struct{}  // holds one token: whoever has it may send the role
	restart  chan struct{}  // ends a ready process, for another one
	lists    chan struct{}  // holds one token: whoever has it may ask for a long answer
	relays   sync.WaitGroup // captures of interfaces

	mu         sync.Mutex // protects what follows
	status     Status
	tenant     *spec.Tenant
	activation control.Activation
	ordered    bool       // SetRole was called
	conn       *pipe.Conn // nil while no worker is ready
	process    *process   // nil: there is none
	memory     *memory    // what every process of it goes on from
	aside      *memory    // what could not be gone on from; nil: nothing
	caged      bool       // every part of the sandbox is required

	arrangements resource.Bucket

	adopted bool // it is of an earlier supervisor

	clock int64    // control.Boot's
	keep  *keep    // belongs to Run; nil: nothing is kept
	taken *process // belongs to Run: what it begins with, of an earlier supervisor
}

// New returns a Worker; Run starts it. Close must be called in the end.
func New(cfg *Config) (*Worker, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	memory, err := newMemory()
	if err != nil {
		return nil, err
	}
	w := newWorker(cfg, memory, clockZero)
	if cfg.Keeper != nil {
		s := state{UID: cfg.UID, Note: cfg.Note, Clock: w.clock}
		w.keep, err = keepWorker(cfg.Keeper, cfg.KeepAs, s, memory, cfg.Network.Endpoints())
		w.keptOr(err)
	}
	return w, nil
}

func newWorker(cfg *Config, m *memory, clock int64) *Worker {
	w := &Worker{
		cfg: *cfg, tenant: cfg.Tenant, memory: m, ready: make(chan struct{}), restart: make(chan struct{}),
		roleTurn: make(chan struct{}, 1), lists: make(chan struct{}, 1), status: Status{Reason: "not started yet"},
		arrangements: newArrangements(), caged: cfg.RequireSandbox, clock: clock,
	}
	if cfg.Failover != nil {
		w.activation = cfg.Failover.Activation
	}
	return w
}

// keptOr gives up keeping the worker where that has failed.
func (w *Worker) keptOr(err error) {
	if err == nil {
		return
	}
	w.cfg.Log.Error("the worker will end with this supervisor: it cannot be kept", "reason", err)
	if err := w.keep.drop(); err != nil {
		w.cfg.Log.Error("what was kept of a worker is not dropped", "reason", err)
	}
	w.keep = nil
}

// Close forgets the worker's SAs, and ends the keeping of it. Run must have returned.
func (w *Worker) Close() {
	if err := w.keep.drop(); err != nil {
		w.cfg.Log.Error("what was kept of a worker is not dropped", "reason", err)
	}
	w.relays.Wait() // their other ends are closed
	w.memory.close()
	w.aside.close()
}

// String implements task.Task.
func (w *Worker) String() string { return "worker of " + w.cfg.Tenant.Name }

// Ready is closed once a worker has been ready for the first time.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// Status returns how the worker is.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Run keeps a worker running until ctx ends, and stops it then: it says goodbye
// to its peers, or is killed.
func (w *Worker) Run(ctx context.Context) error {
	var back backoff
	var doubt doubt
	for {
		var readyFor time.Duration
		err := guard.Run(w.cfg.Log, "a worker", func() (err error) {
			readyFor, err = w.life(ctx)
			return err
		})
		if ctx.Err() != nil {
			w.change(func(s *Status) { *s = Status{Reason: "stopped", Restarts: s.Restarts, Silences: s.Silences} })
			return nil
		}
		if errors.Is(err, errRestart) {
			w.cfg.Log.Info("worker is replaced", "reason", err)
			w.change(func(s *Status) {
				*s = Status{Reason: err.Error(), Restarts: s.Restarts + 1, Silences: s.Silences}
			})
			continue
		}
		delay := back.next(readyFor)
		w.tell(&control.WorkerLost{Reason: err.Error(), RestartIn: delay})
		doubt.note(readyFor, err)
		w.setAside(&doubt, err)
		w.change(func(s *Status) {
			*s = Status{Reason: err.Error(), Restarts: s.Restarts + 1, Losses: back.losses, Silences: s.Silences}
		})
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// change changes the status and tells.
func (w *Worker) change(f func(*Status)) {
	w.mu.Lock()
	f(&w.status)
	w.mu.Unlock()
	if w.cfg.Changed != nil {
		w.cfg.Changed()
	}
}

// backoff paces replacements.
type backoff struct {
	losses int
}

func (b *backoff) next(readyFor time.Duration) time.Duration {
	if readyFor >= stableAfter {
		b.losses = 0
	}
	b.losses++
	if b.losses == 1 {
		return 0
	}
	return min(backoffFirst<<min(b.losses-2, 16), backoffMost)
}

// life is that of one process, from start to end. It returns how long it was
// ready, and why it ended.
func (w *Worker) life(ctx context.Context) (readyFor time.Duration, err error) {
	p, err := w.next(ctx)
	if err != nil {
		return 0, err
	}
	oom := w.cfg.Group.OOMKills()
	served := make(chan error, 1)
	serveCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() { served <- p.conn.Serve(serveCtx, w.handle) }()
	w.mu.Lock()
	w.process = p
	w.mu.Unlock()
	defer func() {
		p.conn.Close() // so that nobody waits for an answer
		w.roleTurn <- struct{}{}
		w.mu.Lock()
		w.conn, w.process = nil, nil
		w.mu.Unlock()
		p.end(w.cfg.Log)
		w.keptOr(w.keep.end())
		<-w.roleTurn // whoever changes the role may rely on it now that no packet moves
		cancel()
		<-served
		if w.cfg.Failover != nil {
			w.cfg.Failover.Replication(nil)
		}
		if errors.Is(err, errDied) && p.exit != nil {
			err = fmt.Errorf("%w: %w", err, p.exit)
		}
		if err != nil && w.cfg.Group.OOMKills() > oom {
			err = fmt.Errorf("%w: it has reached the memory limit of its class", err)
		}
	}()
	w.change(func(s *Status) { s.PID, s.Started, s.Reason = p.number, p.started, "starting" })

	began := time.Now()
	activation, err := w.begin(ctx, p)
	if err != nil {
		return 0, err
	}
	w.keptOr(w.keep.booted(p))
	if err := w.open(ctx, p); err != nil {
		return 0, err
	}
	if err := w.catchUp(ctx, p, activation); err != nil {
		return 0, err
	}
	w.change(func(s *Status) { s.Ready, s.Reason, s.Sandbox, s.Build = true, "", p.box, p.build })
	w.once.Do(func() { close(w.ready) })
	w.tell(&control.WorkerReady{PID: uint64(p.number), Took: time.Since(began).Round(time.Millisecond)})
	w.tellSandbox(p.box)
	ready := time.Now()
	err = w.watch(ctx, p)
	return time.Since(ready), err
}

// errDied is the end of a process that nobody had asked for.
var errDied = errors.New("spawn: the worker has died")

// errRestart is the end of a process that Restart has asked for.
var errRestart = errors.New("spawn: another one was asked for")

// Restart ends the process of a worker that is ready; another one, of the program that
// is there now, goes on with its SAs. It does not wait for that one.
func (w *Worker) Restart(ctx context.Context) error {
	if !w.Status().Ready {
		return ErrNotReady
	}
	select {
	case w.restart <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("spawn: waiting to replace the worker: %w", ctx.Err())
	}
}

// watch waits for the end of a ready worker.
func (w *Worker) watch(ctx context.Context, p *process) error {
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	for {
		select {
		case <-p.exited:
			return errDied
		case <-p.conn.Done():
			if !p.ended(exitTimeout) {
				return errors.New("spawn: the worker has closed its connection")
			}
			return errDied
		case <-w.restart:
			return errRestart
		case <-ctx.Done():
			w.stop(ctx, p)
			return ctx.Err()
		case <-ping.C:
			if err := w.ping(ctx, p); err != nil {
				return err
			}
		}
	}
}

// stop lets the worker say goodbye. What is left of it afterwards is killed.
func (w *Worker) stop(ctx context.Context, p *process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	w.change(func(s *Status) { s.Ready, s.Reason = false, "stopping" })
	if _, err := p.conn.Call(ctx, control.KindStop, nil); err != nil && !errors.Is(err, pipe.ErrClosed) {
		w.cfg.Log.Warn("worker did not say goodbye", "reason", err)
	}
	p.ended(exitTimeout)
}

// tellSandbox logs what confines a worker.
func (w *Worker) tellSandbox(box control.Sandbox) {
	reached, missing := printable([]byte(strings.Join(box.Reached, ", "))),
		printable([]byte(strings.Join(box.Missing, ", ")))
	if missing != "" {
		w.cfg.Log.Warn("worker is confined in part", "sandbox", reached, "missing", missing)
		return
	}
	w.cfg.Log.Info("worker confined", "sandbox", reached)
}

// begin makes the process the tenant, with the activation that it returns.
func (w *Worker) begin(ctx context.Context, p *process) (control.Activation, error) {
	if p.child == nil {
		return w.adopt(ctx, p)
	}
	return w.boot(ctx, p)
}

// boot makes a process the tenant that has just been started.
func (w *Worker) boot(ctx context.Context, p *process) (control.Activation, error) {
	w.mu.Lock()
	activation, caged := w.activation, w.caged
	p.tenant = w.tenant
	w.mu.Unlock()
	ends := w.cfg.Network.Endpoints()
	w.keptOr(w.keep.endpoints(ends))
	boot, files, release, err := w.message(p.tenant, activation, ends)
	if err != nil {
		return activation, err
	}
	defer release()
	boot.RequireSandbox = caged
	if boot.Filters, err = confine.Filters(confine.Worker, p.inner); err != nil {
		w.cfg.Log.Error("no filter of system calls", "reason", err) // the worker says that it has none
	}
	booted, err := w.greet(ctx, p, control.KindBoot, boot, files...)
	if err != nil {
		return activation, fmt.Errorf("spawn: starting: %w", err)
	}
	p.box.Reached = slices.Concat(p.box.Reached, booted.Sandbox.Reached)
	p.box.Missing = slices.Concat(p.box.Missing, booted.Sandbox.Missing)
	return activation, nil
}

// greet sends the first message of a connection.
func (w *Worker) greet(ctx context.Context, p *process, kind control.Kind, body any, files ...*os.File) (
	booted control.Booted, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	answer, err := p.conn.Call(ctx, kind, body, files...)
	if err != nil {
		if errors.Is(err, pipe.ErrClosed) && p.ended(exitTimeout) {
			err = errDied
		}
		return booted, err
	}
	booted, err = control.Parse[control.Booted](answer.Body)
	if err != nil {
		return booted, fmt.Errorf("reading the answer to %s: %w", kind, err)
	}
	p.build = printable([]byte(booted.Build[:min(len(booted.Build), maxBuild)]))
	return booted, nil
}

// maxBuild bounds what a worker says of its build, in bytes.
const maxBuild = 128

// clockZero is control.Boot's Clock, the same as long as this process lives.
var clockZero = time.Now().Add(-uptime.Now()).UnixNano()

// message builds the boot message with its descriptors, until release.
func (w *Worker) message(t *spec.Tenant, a control.Activation, ends []netns.Endpoint) (
	boot *control.Boot, files []*os.File, release func(), err error,
) {
	boot = &control.Boot{
		Version: control.Version, Configuration: control.ConfigurationOf(t), LogFormat: w.cfg.LogFormat,
		LogLevel: w.cfg.LogLevel, Events: true, Clock: w.clock,
	}
	if f := w.cfg.Failover; f != nil {
		boot.Failover = &control.Failover{Unit: f.Unit, Activation: a, Hold: f.Hold}
	}
	w.mu.Lock()
	files = []*os.File{w.memory.journal, w.memory.counters}
	w.mu.Unlock()
	boot.Descriptors = []control.Descriptor{{Kind: control.DescriptorJournal}, {Kind: control.DescriptorCounters}}
	var copies []*os.File
	release = func() {
		for _, f := range copies {
			f.Close()
		}
	}
	for _, e := range ends {
		f, err := e.Dup()
		if err != nil {
			release()
			return nil, nil, nil, fmt.Errorf("spawn: copying what the worker gets: %w", err)
		}
		copies = append(copies, f)
		boot.Descriptors = append(boot.Descriptors, e.Descriptor)
	}
	return boot, append(files, copies...), release, nil
}

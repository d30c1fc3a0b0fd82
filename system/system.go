// Package system is the supervisor: it reads what the configuration wants,
// compares that with what is, and takes the steps between the two. It owns
// namespaces, devices and groups, and watches the workers that run in them; it
// answers the API. It does I/O, and never parses a packet from the network.
//
// What is wrong with one context stays with that context. A configuration that
// is not valid changes nothing.
package system

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/api"
)

const (
	// builders is how many contexts are built or taken apart at once. The
	// kernel does most of that under one lock.
	builders = 8
	// configureTimeout bounds how long a reload waits for one worker.
	configureTimeout = 10 * time.Second
	// socketName is the API's socket in run_dir.
	socketName = "warren.sock"
)

// Config is what a System needs.
type Config struct {
	Path      string   // of the system file
	Worker    string   // path of the program warren-context
	Stderr    *os.File // where workers log to
	LogFormat string   // of the workers: "text" or "json"
	LogLevel  string
	Log       *slog.Logger
	// Hangup asks for a reload; nil: nothing does.
	Hangup <-chan os.Signal
}

// System is the supervisor. It implements task.Task and api.Backend.
type System struct {
	*Files
	cfg     Config
	name    string
	key     []byte // of fingerprints
	run     *rundir
	host    *netns.Host
	groups  *cgroup.Manager
	started time.Time
	slots   chan struct{} // one token for each context that is being built
	rests   *rests
	changed chan struct{} // holds one token after a change of state
	up      chan struct{} // closed when all contexts have begun
	reload  chan struct{} // holds one token: whoever has it may change contexts

	// What follows belongs to the holder of the reload token.
	conf *configs.System
	is   []*wanted
	uids *uids

	mu      sync.Mutex         // protects tenants
	tenants map[string]*tenant // by name
}

// New reads the configuration, locks run_dir, and removes what an earlier
// process has left. Run does the rest; without it, Close must be called.
func New(cfg *Config) (*System, error) {
	conf, warnings, err := loadFirst(context.Background(), cfg.Path)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		cfg.Log.Warn("configuration warning", "text", w)
	}
	if err := checkWorker(cfg.Worker); err != nil {
		return nil, err
	}
	run, err := openRunDir(conf.RunDir)
	if err != nil {
		return nil, err
	}
	s := &System{
		Files: NewFiles(conf.StateDir), cfg: *cfg, name: conf.Name, run: run, started: time.Now(), groups: cgroup.Detect(conf.Name),
		slots: make(chan struct{}, builders), changed: make(chan struct{}, 1), up: make(chan struct{}), reload: make(chan struct{}, 1),
		rests: newRests(), conf: conf, uids: newUIDs(conf.Name), tenants: make(map[string]*tenant), key: make([]byte, 32),
	}
	rand.Read(s.key)
	if s.host, err = netns.OpenHost(conf.Name); err == nil {
		err = s.recover(context.Background())
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	cfg.Log.Info("system opened", "name", conf.Name, "contexts", len(conf.Contexts),
		"cgroup", string(s.groups.Mode()), "max_files", raiseFileLimit())
	return s, nil
}

// Close lets go of what New has opened.
func (s *System) Close() {
	if err := s.groups.Close(); err != nil {
		s.cfg.Log.Error("group of the system not removed", "reason", err.Error())
	}
	if s.host != nil {
		s.host.Close()
	}
	if err := s.Files.Close(); err != nil {
		s.cfg.Log.Error("files not closed", "reason", err.Error())
	}
	s.run.close()
}

// Socket is the path of the API's socket.
func (s *System) Socket() string { return filepath.Join(s.run.path, socketName) }

// String implements task.Task.
func (s *System) String() string { return "system" }

// Ready is closed once every context has begun to start.
func (s *System) Ready() <-chan struct{} { return s.up }

// poke says that the state of a context has changed.
func (s *System) poke() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run starts every context, keeps them until ctx ends, and takes everything
// apart: devices are given back, and nothing is left on the host.
func (s *System) Run(ctx context.Context) error {
	wants := want(s.conf, s.key)
	for _, e := range s.apply(ctx, plan(nil, wants), wants) {
		s.cfg.Log.Error("context cannot start", "tenant", e.Context, "reason", e.Error)
	}
	s.reload <- struct{}{}
	close(s.up)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	s.loop(ctx)
	watching.Wait()

	s.notify(daemon.SdNotifyStopping)
	<-s.reload // a reload that is under way ends first; there is no other after it
	s.endAll(s.list())
	s.Close()
	return nil
}

// loop waits for what Run reacts to.
func (s *System) loop(ctx context.Context) {
	settled := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			if !settled && s.settled() {
				settled = true
				st := s.Status()
				s.cfg.Log.Info("system started", "ready", st.ReadyContexts, "contexts", st.Total, "took", time.Since(s.started).Round(time.Millisecond))
				s.notify(daemon.SdNotifyReady)
			}
		case <-s.cfg.Hangup:
			s.hangup(ctx)
		}
	}
}

// settled tells whether every context is ready, or has failed to become so.
func (s *System) settled() bool {
	for _, t := range s.list() {
		row := t.row()
		if row.State != api.StateReady && row.State != api.StateFailed {
			return false
		}
	}
	return true
}

// notify tells systemd, if it is there.
func (s *System) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.cfg.Log.Warn("systemd cannot be notified", "reason", err.Error())
	}
}

func (s *System) hangup(ctx context.Context) {
	s.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	defer s.notify(daemon.SdNotifyReady)
	if _, err := s.Reload(ctx); err != nil {
		var e *api.Error
		if errors.As(err, &e) && e.Detail != "" {
			s.cfg.Log.Error("reload refused", "reason", e.Reason, "detail", e.Detail)
			return
		}
		s.cfg.Log.Error("reload refused", "reason", err.Error())
	}
}

// Reload implements api.Backend.
func (s *System) Reload(ctx context.Context) (api.Reload, error) {
	select {
	case <-s.reload:
	case <-ctx.Done():
		return api.Reload{}, ctx.Err()
	}
	defer func() { s.reload <- struct{}{} }()
	conf, warnings, err := load(ctx, s.cfg.Path)
	if err != nil {
		return api.Reload{}, err
	}
	if conf.Name != s.conf.Name || conf.RunDir != s.conf.RunDir {
		return api.Reload{}, &api.Error{
			Code: api.CodeRefused, Reason: "system: name and run_dir cannot change while warrend runs",
			Hint: "restart warrend, or undo that change",
		}
	}
	for _, w := range warnings {
		s.cfg.Log.Warn("configuration warning", "text", w)
	}
	wants := want(conf, s.key)
	steps := plan(s.is, wants)
	out := api.Reload{Steps: []string{}, Warnings: warnings}
	for _, st := range steps {
		out.Steps = append(out.Steps, st.String())
		s.cfg.Log.Info("reload step", "tenant", st.name, "action", string(st.action), "reason", st.why)
	}
	s.conf = conf
	out.Errors = s.apply(ctx, steps, wants)
	s.cfg.Log.Info("configuration loaded", "steps", len(steps), "errors", len(out.Errors))
	return out, nil
}

// apply takes the steps. A step that cannot be taken leaves its context as it
// is, unless there is none yet: then it is tried again until it can.
func (s *System) apply(ctx context.Context, steps []step, wants []*wanted) []api.ContextError {
	var errs []api.ContextError
	fail := func(name string, err error) {
		errs = append(errs, api.ContextError{Context: name, Error: err.Error()})
	}
	var todo []step
	for _, st := range steps {
		err := s.check(st)
		if err != nil {
			fail(st.name, err)
		}
		if err == nil || st.action == create {
			todo = append(todo, st)
		}
	}
	s.is = outcome(s.is, todo)
	s.rests.set(s.conf.Totals, s.is)
	if err := s.Files.Set(disks(s.is)); err != nil {
		s.cfg.Log.Error("files of a context cannot be used", "reason", err.Error())
	}

	var ending []*tenant
	s.mu.Lock()
	for _, st := range todo {
		if t := s.tenants[st.name]; t != nil && (st.action == remove || st.action == rebuild) {
			ending = append(ending, t)
		}
	}
	s.mu.Unlock()
	s.endAll(ending)

	var waiting sync.WaitGroup
	var mu sync.Mutex // protects errs
	for _, st := range todo {
		switch st.action {
		case create, rebuild:
			uid, err := s.uids.of(st.name)
			if err != nil {
				fail(st.name, err)
				continue
			}
			t := s.begin(st.want, uid)
			s.mu.Lock()
			s.tenants[st.name] = t
			s.mu.Unlock()
		case configure:
			s.mu.Lock()
			t := s.tenants[st.name]
			s.mu.Unlock()
			if t == nil {
				continue
			}
			waiting.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, configureTimeout)
				defer cancel()
				if err := t.configure(ctx, st.want); err != nil {
					mu.Lock()
					defer mu.Unlock()
					fail(st.name, err)
				}
			})
		}
	}
	waiting.Wait()
	s.poke()
	return errs
}

// outcome is what is after the steps.
func outcome(is []*wanted, steps []step) []*wanted {
	var list []*wanted
	for _, old := range is {
		kept := true
		for _, st := range steps {
			kept = kept && st.name != old.Name
		}
		if kept {
			list = append(list, old)
		}
	}
	for _, st := range steps {
		if st.want != nil {
			list = append(list, st.want)
		}
	}
	return list
}

// check says, before anything is touched, what stands against a step.
func (s *System) check(st step) error {
	if st.want == nil {
		return nil
	}
	if err := s.groups.Check(st.want.limits); err != nil {
		return err
	}
	if err := checkStorage(st.want.Storage); err != nil {
		return err
	}
	if st.action == configure {
		return nil
	}
	var held []string // what our contexts have now comes back before it is needed
	for _, w := range s.is {
		for _, d := range w.devices {
			held = append(held, d.Host)
		}
	}
	for _, d := range st.want.devices {
		if err := s.host.Check(d, held); err != nil {
			return fmt.Errorf("interface %q: %w", d.Interface, err)
		}
	}
	return nil
}

// endAll ends contexts, all at once, and forgets them.
func (s *System) endAll(list []*tenant) {
	var ending sync.WaitGroup
	for _, t := range list {
		ending.Go(t.end)
	}
	ending.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range list {
		delete(s.tenants, t.name)
		s.uids.release(t.name)
	}
}

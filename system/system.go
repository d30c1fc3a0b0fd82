// Package system is the supervisor: the composition of the rooms below it. It makes each
// with what it needs, starts them in order, stops them in reverse, and answers the API by
// translating between the API's words and theirs (backend_*.go). It locks what belongs to one
// warrend alone, and removes what an earlier one has left on the host. It does I/O, and never
// parses a packet from the network.
//
// What is wrong with one context stays with that context. A system file that is not
// valid changes nothing.
package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/events"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/lifecycle"
	"github.com/warrenvpn/warren/system/pair"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/system/tenants"
)

// handOverLimit bounds how long a node that is stopped waits for the other one to take
// over.
const handOverLimit = 2 * time.Second

// Config is what a System needs.
type Config struct {
	Path      string   // of the system file
	Worker    string   // path of the program warren-context
	Stderr    *os.File // where workers log to
	LogFormat string   // of the workers: "text" or "json"
	LogLevel  string
	Log       *slog.Logger
	// Check says which texts of contexts may be parsed in this process.
	Check lifecycle.Checker
	// Hangup asks for a reload; nil: nothing does.
	Hangup <-chan os.Signal
	// Store keeps workers for the next process, and Kept is what the one before has
	// left there, which is the System's from New on. nil: workers end with this process.
	Store *fdstore.Store
	Kept  []fdstore.Kept
	// Stop ends this process, in order.
	Stop func()
}

// System is the supervisor. It implements task.Task.
type System struct {
	cfg     Config
	name    string
	run     *rundir
	host    *netns.Host
	groups  *cgroup.Manager
	started time.Time
	changed chan struct{} // holds one token after a change of state
	events  *events.Hub
	up      chan struct{} // closed when all contexts have begun
	ending  atomic.Bool   // as Ended has it

	pair    *pair.Pair // nil: a node alone
	disks   *disks.Disks
	tenants *tenants.Tenants
	life    *lifecycle.Lifecycle

	restoring sync.Mutex // held while a backup is read or restored
}

// New reads the configuration, locks run_dir, and removes what an earlier
// process has left. Run does the rest; without it, Close must be called.
func New(cfg *Config) (*System, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("system: finding the configuration: %w", err)
	}
	if err := checkWorker(cfg.Worker); err != nil {
		return nil, err
	}
	places, err := lifecycle.PlacesOf(path, cfg.Check, cfg.Log)
	if err != nil {
		return nil, err
	}
	run, err := hold(places, path)
	if err != nil {
		return nil, err
	}
	s, err := open(cfg, path, run)
	if err != nil {
		run.close()
		return nil, err
	}
	return s, nil
}

// open is New for a system whose places are held.
func open(cfg *Config, path string, run *rundir) (*System, error) {
	startup, err := lifecycle.Read(context.Background(), path, run.holds.StateDir, cfg.Check, cfg.Log)
	if err != nil {
		return nil, err
	}
	conf := startup.Files()
	if conf.Places() != run.holds {
		return nil, errors.New("system: the system file was changed while it was read: start again")
	}
	s := &System{
		cfg: *cfg, name: conf.Name, run: run, started: time.Now(), groups: cgroup.Detect(conf.Name),
		changed: make(chan struct{}, 1), up: make(chan struct{}), events: events.New(),
	}
	kept := s.findKept()
	if s.host, err = netns.OpenHost(conf.Name); err == nil {
		err = s.recover(context.Background(), conf, kept)
	}
	if err == nil {
		err = startup.Decide(time.Now())
	}
	if err == nil {
		err = s.compose(startup, kept)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	files := raiseFileLimit()
	cfg.Log.Info("system opened", "name", conf.Name, "contexts", len(conf.Contexts), "cgroup", string(s.groups.Mode()),
		"max_files", files)
	if need := uint64(filesAlone + filesPerContext*len(conf.Contexts)); files < need {
		cfg.Log.Warn("too few open files are allowed for this many contexts: raise the hard limit (LimitNOFILE=)",
			"max_files", files, "limit", need)
	}
	return s, nil
}

// compose makes the rooms: each is given those that it needs.
func (s *System) compose(startup *lifecycle.Startup, kept *tenants.Kept) (err error) {
	conf := startup.Running()
	if conf.Failover != nil {
		s.pair, err = pair.New(&pair.Config{
			System: conf, Links: pair.LinksOf(s.host), Records: s.recordDir(), Changed: s.poke,
			Adopting: kept.Any(), Events: s.events, Log: s.cfg.Log,
		})
		if err != nil {
			return err
		}
	}
	files := &disks.Config{StateDir: conf.StateDir, Log: s.cfg.Log}
	contexts := &tenants.Config{
		System: conf.Name, Host: s.host, Groups: s.groups, Records: s.recordDir(), Changed: s.poke,
		Events: s.events, Worker: s.cfg.Worker, Stderr: s.cfg.Stderr, LogFormat: s.cfg.LogFormat,
		LogLevel: s.cfg.LogLevel, Log: s.cfg.Log, Store: s.cfg.Store, Kept: kept,
	}
	if s.pair != nil {
		files.Unit, files.Standby, files.Peer = conf.Failover.Unit.String(), s.pair.Standby, disksOf(s.pair)
		files.Paired = func(tenant string) bool { _, ok := s.pair.Epoch(tenant); return ok }
		files.Epoch = func(tenant string) uint64 { epoch, _ := s.pair.Epoch(tenant); return epoch }
		contexts.Pair = s.pair
	}
	if err := cleanUp(conf); err != nil {
		s.cfg.Log.Warn("what is left of a restore was not removed", "reason", err)
	}
	s.disks = disks.New(files)
	contexts.Disks = s.disks
	s.tenants = tenants.New(contexts)
	s.life = lifecycle.New(&lifecycle.Config{
		Startup: startup, Check: s.cfg.Check, Keeper: s.disks, Actor: s.tenants,
		Active: s.pair.Active, Refuses: s.pair.Refuses, Other: otherOf(s.pair), Now: time.Now,
		Events: s.events, Log: s.cfg.Log,
		Changed: func(conf *configs.System) {
			s.pair.Configure(conf)
			restrict(s.Socket(), conf, s.cfg.Log)
		},
		WriteDisk: s.disks.Put, PendingDisks: s.disks.Pending,
	})
	return nil
}

// Close lets go of what New has opened.
func (s *System) Close() {
	if err := s.groups.Close(); err != nil {
		s.cfg.Log.Error("group of the system not removed", "reason", err)
	}
	if s.host != nil {
		s.host.Close()
	}
	if s.disks != nil {
		if err := s.disks.Close(); err != nil {
			s.cfg.Log.Error("files not closed", "reason", err)
		}
	}
	s.run.close()
}

// Peers are the connections of the other node of the pair, for the API to serve; nil for a
// node alone.
func (s *System) Peers() net.Listener {
	if s.pair == nil {
		return nil
	}
	return s.pair.Callers()
}

// poke says that the state of a context has changed.
func (s *System) poke() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run starts every context and keeps them until ctx ends. Then it takes everything
// apart, devices are given back, and nothing is left on the host; or it leaves all of
// that to the next process (leaves).
func (s *System) Run(ctx context.Context) error {
	settle := collectSeldom()
	defer settle()
	s.pair.Start()
	unwanted := s.tenants.Unwanted(plan.Want(s.life.Running(), nil))
	var watching sync.WaitGroup
	watching.Go(func() { s.tenants.EndKept(ctx, unwanted) })
	s.life.Start(ctx)
	close(s.up)
	watching.Go(func() { s.tenants.Watch(ctx) })
	watching.Go(func() { s.disks.Run(ctx) })
	watching.Go(func() { s.mend(ctx) })
	watching.Go(func() { giveBack(ctx) })
	s.loop(ctx, settle)
	watching.Wait()

	stopping := time.Now()
	s.notify(daemon.SdNotifyStopping)
	s.life.Close()
	if s.leaves() {
		s.tenants.Leave()
		s.cfg.Log.Info("system left to the next process", "took", time.Since(stopping).Round(time.Millisecond))
		return nil
	}
	s.pair.HandOver(handOverLimit)
	s.pair.Stop()
	s.tenants.Close()
	s.Close()
	s.cfg.Log.Info("system stopped", "took", time.Since(stopping).Round(time.Millisecond))
	return nil
}

// loop waits for what Run reacts to, and calls settle once every context has begun.
func (s *System) loop(ctx context.Context, settle func()) {
	settled := false
	alive, stop := s.watchdog()
	defer stop()
	for {
		select {
		case <-alive:
			s.notify(daemon.SdNotifyWatchdog)
		case <-ctx.Done():
			return
		case <-s.changed:
			if !settled && s.tenants.AllSettled() {
				settled = true
				settle()
				s.pair.Settled()
				st := s.overview().Status()
				s.cfg.Log.Info("system started", "ready", st.ReadyContexts, "contexts", st.Total,
					"took", time.Since(s.started).Round(time.Millisecond))
				s.notify(daemon.SdNotifyReady)
			}
		case <-s.cfg.Hangup:
			s.during(alive, func() { s.hup(ctx) })
		case <-s.life.Overdue():
			s.during(alive, func() {
				if err := guard.Run(s.cfg.Log, "a rollback", func() error { return s.life.Expire(ctx) }); err != nil {
					s.cfg.Log.Error("configuration not rolled back", "reason", err)
				}
			})
		}
	}
}

// notify tells systemd, if it is there.
func (s *System) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.cfg.Log.Warn("systemd cannot be notified", "reason", err)
	}
}

// hup reloads.
func (s *System) hup(ctx context.Context) {
	s.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	defer s.notify(daemon.SdNotifyReady)
	if err := guard.Run(s.cfg.Log, "a reload", func() error { return s.life.Hangup(ctx) }); err != nil {
		var e *fault.Error
		if errors.As(err, &e) && e.Detail != "" {
			s.cfg.Log.Error("reload refused", "reason", e.Reason, "detail", e.Detail)
			return
		}
		s.cfg.Log.Error("reload refused", "reason", err)
	}
}

// checkWorker makes sure that there is a worker program before anything starts.
func checkWorker(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("system: %s is missing; it is built together with warrend and belongs beside it", path)
	}
	return nil
}

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/capture"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/privileges"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/internal/secret"
)

// errAlone ends a worker that no supervisor can reach any more: nobody could replace
// it, and the next supervisor starts a new one.
var errAlone = errors.New("worker: no supervisor is left")

// farewellTimeout is what a worker that is left alone takes to say goodbye.
const farewellTimeout = 3 * time.Second

// Serve is the life of a worker process: it takes orders from the supervisor over
// connections that come on the line, becomes the tenant that control.Boot describes,
// and returns when it was told to stop (nil), or when it cannot go on. A supervisor
// that is gone may be followed by another one; when nobody holds the line any more the
// worker ends, and says goodbye to its peers before it where the last supervisor has
// ended in order. What happens goes to out, which is read by the supervisor alone: events
// where it takes them (control.Boot), and lines of text. box is what privileges.Drop has
// reached.
func Serve(ctx context.Context, line *pipe.Line, out io.Writer, box control.Sandbox) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &process{linking: make(chan struct{}, maxLinking), supervisors: newConnections(), out: newOutbox(out),
		box: box, life: ctx, end: cancel, done: make(chan struct{})}
	defer p.out.end()
	err := p.supervisors.serve(ctx, line, p.handle, p.orphaned)
	if p.left && ctx.Err() == nil {
		p.farewell(ctx)
	}
	cancel(errAlone)
	if p.worker != nil {
		<-p.done
		p.links.Wait()
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStop):
		return nil
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	default:
		return cause
	}
}

// farewell is the end of a worker whose last supervisor has left in order: the unit
// was stopped, and its keeper has let go of the line.
func (p *process) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	if err := p.worker.Goodbye(ctx); err != nil {
		p.worker.log.Warn("no goodbye to the peers", "reason", err)
	}
	p.end(errStop)
}

// errStop is the cause of an end that was asked for.
var errStop = errors.New("worker: told to stop")

// process is the worker as its supervisors see it. Its methods run one at a
// time, on the goroutine that serves a connection.
type process struct {
	supervisors *connections

	out      *outbox
	box      control.Sandbox
	life     context.Context // of the process: longer than that of a connection
	end      context.CancelCauseFunc
	worker   *Worker
	left     bool           // the last supervisor has ended in order
	captures *capture.Set   // of worker
	done     chan struct{}  // closed when the worker has ended
	links    sync.WaitGroup // connections to the twin that are not yet sessions, and captures
	// linking has room for as many connections as may be on the way to a session.
	linking chan struct{}
}

// maxLinking bounds the handshakes with the twin that are under way.
const maxLinking = 4

// handle answers one request of the supervisor.
func (p *process) handle(ctx context.Context, req *pipe.Request) (any, error) {
	if p.worker == nil && req.Kind != control.KindBoot {
		return nil, fmt.Errorf("worker: %s before boot", req.Kind)
	}
	switch req.Kind {
	case control.KindBoot:
		if err := p.boot(ctx, req); err != nil {
			return nil, err
		}
		return p.booted(ctx)
	case control.KindAdopt:
		if err := p.adopt(ctx, req); err != nil {
			return nil, err
		}
		return p.booted(ctx)
	case control.KindLeave:
		p.left = true
		return nil, nil
	case control.KindConfigure:
		c, err := decode[control.Configuration](req)
		if err != nil {
			return nil, err
		}
		if err := open(&c); err != nil {
			return nil, err
		}
		processors(c.Tenant.Limits.CPU)
		return nil, p.worker.Reconfigure(ctx, c.Tenant, false)
	case control.KindIKESAs, control.KindSessions, control.KindResources, control.KindIPsec, control.KindProgress,
		control.KindServers,
		control.KindKeys:
		return p.worker.Show(ctx, req.Kind)
	case control.KindLogoff:
		which, err := decode[control.Logoff](req)
		if err != nil {
			return nil, err
		}
		n, err := p.worker.Order(ctx, which, logoff)
		return control.LogoffDone{Sessions: n}, err
	case control.KindRekey:
		which, err := decode[control.Logoff](req)
		if err != nil {
			return nil, err
		}
		var done control.Rekeyed
		done.IKESAs, err = p.worker.Order(ctx, which, func(s exchange.Status) []exchange.Command {
			done.ChildSAs += len(s.Children)
			return rekey(s)
		})
		return done, err
	case control.KindPing:
		return nil, p.worker.do(ctx, func(time.Time) error { return nil })
	case control.KindRole:
		r, err := decode[control.Activation](req)
		if err != nil {
			return nil, err
		}
		return nil, p.worker.SetRole(ctx, r)
	case control.KindQuiesce:
		q, err := decode[control.Quiesce](req)
		if err != nil {
			return nil, err
		}
		return nil, p.worker.Quiesce(ctx, q)
	case control.KindCapture:
		return nil, p.capture(req)
	case control.KindLink:
		return nil, p.link(req)
	case control.KindStop:
		req.Then = func() { p.end(errStop) } // the answer must leave before the end
		return nil, p.worker.Goodbye(ctx)
	}
	return nil, fmt.Errorf("worker: unknown request %q", req.Kind)
}

// decode reads the body of a request.
func decode[T any](req *pipe.Request) (T, error) {
	var body T
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return body, fmt.Errorf("worker: reading %s: %w", req.Kind, err)
	}
	return body, nil
}

// booted says what the worker is.
func (p *process) booted(ctx context.Context) (b control.Booted, err error) {
	b = control.Booted{Sandbox: p.box, Build: build.Version()}
	err = p.worker.do(ctx, func(time.Time) error {
		b.Activation = p.worker.replica.Activation()
		return nil
	})
	return b, err
}

// orphaned is called when the connection of a supervisor has ended.
func (p *process) orphaned() {
	if p.worker == nil || p.life.Err() != nil {
		return
	}
	if err := p.ready(p.life); err == nil {
		_ = p.worker.do(p.life, func(now time.Time) error { // it ends, else
			p.worker.replica.Orphaned(now)
			return nil
		})
	}
}

// adopt goes on under another supervisor.
func (p *process) adopt(ctx context.Context, req *pipe.Request) error {
	a, err := decode[control.Adopt](req)
	if err != nil {
		return err
	}
	if a.Version != control.Version {
		return otherVersion(a.Version)
	}
	if err := open(&a.Configuration); err != nil {
		return err
	}
	if err := p.ready(ctx); err != nil { // the one before may have gone while it booted
		return err
	}
	p.left = false
	processors(a.Tenant.Limits.CPU)
	return p.worker.Reconfigure(ctx, a.Tenant, true)
}

// ready waits until the worker does what it was made for.
func (p *process) ready(ctx context.Context) error {
	select {
	case <-p.worker.Ready():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// boot builds the tenant and starts it; packets move when it returns.
func (p *process) boot(ctx context.Context, req *pipe.Request) error {
	if p.worker != nil {
		return errors.New("worker: booted already")
	}
	boot, err := parseBoot(req.Body)
	if err != nil {
		return err
	}
	p.box.Reach("seccomp", privileges.Filter(boot.Filters))
	if boot.RequireSandbox && len(p.box.Missing) > 0 {
		return fmt.Errorf("worker: require_sandbox is set, and this is missing: %s", strings.Join(p.box.Missing, ", "))
	}
	processors(boot.Tenant.Limits.CPU)
	cfg, err := assemble(boot, req)
	if err != nil {
		return err
	}
	cfg.Log = newLogger(p.out, boot)
	if boot.Events {
		cfg.Tell = p.out.event
	}
	cfg.Ask = func(ctx context.Context, kind control.Kind, body any) error {
		_, err := p.supervisors.call(ctx, kind, body)
		return err
	}
	cfg.Claim, cfg.Connect = p.claim, p.connect
	w, err := New(cfg)
	if err != nil {
		return err
	}
	p.worker, p.captures = w, capture.NewSet(w.tell, w.plane.SetTaps)
	go func() {
		defer close(p.done)
		p.end(w.Run(p.life))
	}()
	return p.ready(ctx)
}

// claim makes a claim of the supervisor.
func (p *process) claim(ctx context.Context, c control.Claim) (control.Grant, error) {
	var g control.Grant
	answer, err := p.supervisors.call(ctx, control.KindClaim, c)
	if err == nil {
		err = json.Unmarshal(answer.Body, &g)
	}
	return g, err
}

// link takes a connection to the twin over. The handshake takes as long as the
// twin likes, so nobody waits for it.
func (p *process) link(req *pipe.Request) error {
	if len(req.Files) != 1 {
		return fmt.Errorf("worker: %s with %d descriptors", req.Kind, len(req.Files))
	}
	how, err := decode[control.Link](req)
	if err != nil {
		return err
	}
	conn, err := net.FileConn(req.Files[0])
	if err != nil {
		return fmt.Errorf("worker: taking over the connection to the twin: %w", err)
	}
	select {
	case p.linking <- struct{}{}:
	default: // the twin makes one after the other
		return errors.Join(errors.New("worker: too many connections to the twin are being made"), conn.Close())
	}
	p.links.Go(func() {
		defer func() { <-p.linking }()
		if err := p.worker.Link(p.life, conn, secret.New(how.Key)); err != nil {
			p.worker.log.Warn("no session with the twin", "reason", err)
		}
	})
	return nil
}

// parseBoot reads a Boot.
func parseBoot(body []byte) (*control.Boot, error) {
	var boot control.Boot
	if err := json.Unmarshal(body, &boot); err != nil {
		return nil, fmt.Errorf("worker: reading boot message: %w", err)
	}
	if boot.Version != control.Version {
		return nil, otherVersion(boot.Version)
	}
	return &boot, open(&boot.Configuration)
}

// otherVersion is the answer to a supervisor that speaks another version.
func otherVersion(theirs int) error {
	return fmt.Errorf("worker: supervisor speaks version %d, this worker %d", theirs, control.Version)
}

// open puts the secrets of a configuration where SecretRefs find them.
func open(c *control.Configuration) error {
	if c.Tenant == nil {
		return errors.New("worker: a configuration without a tenant")
	}
	for _, s := range c.Secrets {
		c.Tenant.Secrets = append(c.Tenant.Secrets, secret.New(s))
	}
	return nil
}

// assemble turns the descriptors of a boot message into what they are.
func assemble(boot *control.Boot, req *pipe.Request) (*Config, error) {
	files := req.Files
	if len(files) != len(boot.Descriptors) {
		return nil, fmt.Errorf("worker: %d descriptors announced, %d came", len(boot.Descriptors), len(files))
	}
	cfg := &Config{Tenant: boot.Tenant, Failover: boot.Failover, Isolate: true, Clock: boot.Clock}
	take := func(i int) *os.File { // the request closes what stays in it
		f := req.Files[i]
		req.Files[i] = nil
		return f
	}
	var err error
	for i, d := range boot.Descriptors {
		switch d.Kind {
		case control.DescriptorJournal:
			cfg.Journal, err = replica.MapFile(files[i])
		case control.DescriptorCounters:
			cfg.Counters, err = replica.MapFile(files[i])
		case control.DescriptorTUN:
			var dev tun.Device
			if dev, err = tun.NewDevice(take(i)); err == nil {
				cfg.Devices = append(cfg.Devices, dev)
			}
		case control.DescriptorIKE, control.DescriptorNATT, control.DescriptorESP:
			cfg.Sockets = append(cfg.Sockets, plane.Socket{Kind: socketKinds[d.Kind], Local: d.Local, MTU: d.MTU,
				File: take(i)})
		default:
			err = fmt.Errorf("worker: unknown descriptor %q", d.Kind)
		}
		if err != nil {
			closeAll(cfg)
			return nil, err
		}
	}
	return cfg, nil
}

var socketKinds = map[control.DescriptorKind]plane.Kind{
	control.DescriptorIKE:  plane.KindIKE,
	control.DescriptorNATT: plane.KindNATT,
	control.DescriptorESP:  plane.KindESP,
}

// newLogger returns the logger that the supervisor asked for; every record
// carries the tenant's name.
func newLogger(out io.Writer, boot *control.Boot) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(boot.LogLevel)) != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(out, opts)
	if boot.LogFormat == "json" {
		h = slog.NewJSONHandler(out, opts)
	}
	return slog.New(h).With("tenant", boot.Tenant.Name)
}

// Package pair is this node's half of a failover pair: the driver of failover.Node. It sends
// and hears heartbeats, gives contexts their roles and addresses, makes the sessions of
// their workers with the twins, and carries questions to the other node's supervisor.
//
// It does I/O, and decides nothing: what a role follows from is in package failover.
package pair

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
)

const (
	// settleLimit is how long the role machine waits at most for the contexts to
	// be ready, before it looks for the peer.
	settleLimit = 15 * time.Second
	// inspection is how often workers are looked at that should run.
	inspection = 250 * time.Millisecond
	// beatsSize bounds the heartbeats that wait; a newer one says it again. A peer
	// with a thousand groups tells of them in some forty.
	beatsSize = 256
	// dialsAtOnce bounds the connections to twins that are being made.
	dialsAtOnce = 32
	// shortestMute is the least that a worker gets to fall silent.
	shortestMute = 50 * time.Millisecond
)

// Config is what a Pair needs.
type Config struct {
	System  *configs.System // that runs; with a failover block
	Links   Links           // the host's
	Records string          // directory for records of what was taken from the host
	// Changed is told when a context has another role. It must not block.
	Changed func()
	Log     *slog.Logger
}

// beat is a heartbeat that came in.
type beat struct {
	path    failover.Path
	payload []byte
}

// Pair is this node's half of a failover pair. A nil Pair stands for a node
// alone. One goroutine, run, owns the role machine and everything below it;
// others reach it through do and post.
type Pair struct {
	cfg    configs.Failover
	log    *slog.Logger
	epochs *epochs

	device  Links  // of failover links
	records string // directory
	changed func()

	callers *callers        // connections of the peer's supervisor
	peer    *http.Transport // to it

	calls chan func(now time.Time, out *failover.Output)
	// Heartbeats of data interfaces wait apart: anybody on those may send.
	beats, strangers chan beat
	cancel           context.CancelFunc
	ended            chan struct{}  // closed when run has returned
	owned            sync.WaitGroup // goroutines of run
	finished         chan struct{}  // closed when they have ended, too

	// What follows belongs to run.
	conf       *configs.System
	node       *failover.Node // nil until begin
	members    map[string]*member
	byGroup    map[string][]*member // in the order of their names
	contexts   map[string][]string  // of the configuration, by group
	dials      int                  // that are being made
	floor      map[string]uint64    // by group: the highest epoch that was ours
	quiescing  map[string]map[string]bool
	muting     map[string]uint64 // by group: the change with which its contexts fall silent
	changes    uint64            // of roles so far
	links      []*uplink
	data       map[string]*dataPath
	missing    map[string]absence // contexts that are not built
	announcing chan struct{}      // has room while nobody announces addresses

	mu    sync.Mutex     // protects what follows
	keys  []secret.Value // configs.Failover.Keys
	roles map[string]failover.Role
	owner map[string]string // the group of each context
	gone  []string          // what of the redundancy is gone, in sentences
}

// New returns this node's half of the pair that the configuration wants. It reads which
// epochs were used; nothing else happens until Start.
func New(cfg *Config) (*Pair, error) {
	conf := cfg.System
	store, err := openEpochs(conf.StateDir)
	if err != nil {
		return nil, err
	}
	p := &Pair{
		cfg: *conf.Failover, keys: conf.Failover.Keys(), log: cfg.Log, records: cfg.Records, changed: cfg.Changed,
		device: cfg.Links, epochs: store, conf: conf,
		calls: make(chan func(time.Time, *failover.Output), beatsSize),
		beats: make(chan beat, beatsSize), strangers: make(chan beat, beatsSize),
		ended: make(chan struct{}), finished: make(chan struct{}), missing: make(map[string]absence),
		members: make(map[string]*member), floor: store.all(),
		byGroup: make(map[string][]*member), contexts: contextsByGroup(conf), announcing: make(chan struct{}, 1),
		quiescing: make(map[string]map[string]bool), muting: make(map[string]uint64), data: make(map[string]*dataPath),
		roles: make(map[string]failover.Role), owner: groupOf(conf),
	}
	p.callers = newCallers()
	p.peer = &http.Transport{DialContext: p.callPeer, MaxIdleConns: 1, IdleConnTimeout: 5 * time.Second}
	for i, l := range conf.Failover.Links {
		on, _ := conf.Interface(l.Interface)
		p.links = append(p.links, &uplink{index: i, cfg: l, on: on, refusals: newRefusals(),
			again: make(chan struct{}, 1)})
	}
	return p, nil
}

// Start starts the role machine and opens the links; Stop ends both.
func (p *Pair) Start() {
	if p == nil {
		return
	}
	if err := hurry(); err != nil {
		p.log.Warn("heartbeats may be late under load", "reason", err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // it ends with stop alone
	p.cancel = cancel
	go func() {
		defer close(p.finished)
		p.run(ctx)
		close(p.ended)
		p.owned.Wait()
	}()
}

// Stop ends everything that Start has started, and waits for it.
func (p *Pair) Stop() {
	if p != nil && p.cancel != nil {
		p.cancel()
		p.callers.Close()
		p.peer.CloseIdleConnections()
		<-p.finished
	}
}

// do runs f in the goroutine of run and waits for it; false: there is none.
func (p *Pair) do(f func(now time.Time, out *failover.Output)) bool {
	done := make(chan struct{})
	if !p.post(func(now time.Time, out *failover.Output) { defer close(done); f(now, out) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-p.ended:
		return false
	}
}

// post leaves f to the goroutine of run; false: there is none.
func (p *Pair) post(f func(now time.Time, out *failover.Output)) bool {
	select {
	case p.calls <- f:
		return true
	case <-p.ended:
		return false
	}
}

// run is the goroutine that owns the role machine. A step that panics is told, and
// the next one follows.
func (p *Pair) run(ctx context.Context) {
	for _, l := range p.links {
		p.owned.Go(func() { p.tend(ctx, l) })
		p.owned.Go(func() {
			guard.Keep(ctx, p.log, "the carrier of a failover link", watchRetry,
				func() error { return p.observe(ctx, l) }, func(error) {})
		})
	}
	p.owned.Go(func() { p.watchHost(ctx) })
	timer := time.NewTimer(settleLimit)
	defer timer.Stop()
	look := time.NewTicker(inspection)
	defer look.Stop()
	for ctx.Err() == nil {
		err := guard.Run(p.log, "failover", func() error { return p.step(ctx, timer.C, look.C) })
		rest := time.Duration(0)
		if err != nil {
			_ = guard.Run(p.log, "failover after an internal error", func() error { return p.realign(ctx) })
			rest = p.cfg.Poll
		}
		if p.node != nil {
			timer.Reset(max(time.Until(p.node.Deadline()), rest))
		}
	}
	p.leaveAll()
}

// step does what is to be done next, and waits for it; nothing when ctx ends.
func (p *Pair) step(ctx context.Context, due, look <-chan time.Time) error {
	var out failover.Output
	select {
	case <-ctx.Done():
		return nil
	case b := <-p.beats:
		p.receive(b, &out)
	case f := <-p.calls:
		f(time.Now(), &out)
	case b := <-p.strangers:
		p.receive(b, &out)
	case <-due:
		if p.node == nil {
			p.begin(time.Now(), &out)
		} else {
			p.drain(&out) // silence is judged by who has listened
			p.node.Expire(time.Now(), &out)
		}
	case <-look:
		p.inspect(time.Now(), &out)
	}
	p.carry(ctx, &out)
	p.connect(ctx, time.Now())
	return nil
}

// realign makes the contexts play the roles that the role machine has, after a step
// that has ended somewhere on its way.
func (p *Pair) realign(ctx context.Context) error {
	if p.node == nil {
		return nil
	}
	var out failover.Output
	for _, g := range p.conf.Failover.Groups {
		to, epoch := p.node.Role(g.Name)
		if from := p.role(g.Name); from != to {
			out.Changes = append(out.Changes, failover.RoleChange{Group: g.Name, From: from, To: to, Epoch: epoch,
				Reason: "realigned after an internal error"})
		} else if _, muting := p.muting[g.Name]; to != failover.RoleActive && !muting {
			p.node.Muted(time.Now(), g.Name, &out)
		}
		if to == failover.RoleActive {
			out.Remember = append(out.Remember, failover.Remember{Group: g.Name, Epoch: epoch, Now: true})
		}
	}
	p.carry(ctx, &out)
	return nil
}

// async does something in a goroutine that run waits for in the end.
func (p *Pair) async(what string, do func()) {
	p.owned.Go(func() {
		_ = guard.Run(p.log, what, func() error { // the log has been told
			do()
			return nil
		})
	})
}

// drain gives the heartbeats that wait to the role machine.
func (p *Pair) drain(out *failover.Output) {
	for {
		select {
		case b := <-p.beats:
			p.receive(b, out)
		default:
			return
		}
	}
}

// receive gives a heartbeat to the role machine, which says what it refuses.
func (p *Pair) receive(b beat, out *failover.Output) {
	if p.node != nil {
		if err := p.node.Receive(time.Now(), b.path, b.payload, out); err != nil {
			p.log.Debug("heartbeat dropped", "reason", err)
		}
	}
}

// Settled is called when the contexts are ready, or as ready as they will be: from then on
// the peer is looked for.
func (p *Pair) Settled() {
	if p != nil {
		p.post(func(now time.Time, out *failover.Output) {
			if p.node == nil {
				p.begin(now, out)
			}
		})
	}
}

// begin looks for the peer from now on.
func (p *Pair) begin(now time.Time, out *failover.Output) {
	cfg := failover.Config{
		Unit: p.cfg.Unit, Keys: p.failoverKeys(), Version: build.Version(),
		Poll: p.cfg.Poll, Hold: p.cfg.Hold, Rand: rand.Reader,
	}
	for _, l := range p.cfg.Links {
		cfg.Links = append(cfg.Links, l.Name)
	}
	for _, g := range p.conf.Failover.Groups {
		cfg.Groups = append(cfg.Groups, groupConfig(p.conf, g, p.floor[g.Name]))
	}
	node, err := failover.New(now, cfg, out)
	if err != nil { // the configuration was checked: it cannot be
		p.log.Error("failover cannot begin", "reason", err)
		return
	}
	p.node = node
	for _, l := range p.links {
		node.LinkState(now, l.index, l.carrier, out)
	}
	for _, m := range p.members {
		m.silences = m.worker.Status().Silences // those of the start are over
		p.assess(now, m, out)
	}
	p.assessMissing(now, 0, out)
	p.healthOfInterfaces(now, out)
}

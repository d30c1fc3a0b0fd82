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
	"net"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/events"
)

const (
	// settleLimit is how long the role machine waits at most for the contexts to
	// be ready, before it looks for the peer.
	settleLimit = 15 * time.Second
	// adoptingLimit is the same where workers serve that nobody speaks for.
	adoptingLimit = failover.DefaultAdoption * 6 / 10
	// inspection is how often workers are looked at that should run.
	inspection = 250 * time.Millisecond
	// beatsSize bounds the heartbeats that wait; a newer one says it again. A peer
	// with a thousand groups tells of them in some forty.
	beatsSize = 256
	// shortestMute is the least that a worker gets to fall silent.
	shortestMute = 50 * time.Millisecond
)

// Config is what a Pair needs.
type Config struct {
	System  *configs.System // that runs; with a failover block
	Links   Links           // the host's
	Records string          // directory for records of what was taken from the host
	// Adopting says that there are contexts of an earlier process. Their workers serve, and
	// the peer waits no longer than failover.DefaultAdoption until it hears of them.
	Adopting bool
	// Changed is told when a context has another role. It must not block.
	Changed func()
	// Events takes what happens between the units; nil: nobody reads it.
	Events *events.Hub
	Log    *slog.Logger
}

// Pair is this node's half of a failover pair. A nil Pair stands for a node
// alone. One goroutine, run, owns the role machine and everything below it. Each part does
// one thing that the role machine asks for, or that it has to be told.
type Pair struct {
	*machine
	cfg        configs.Failover
	keys       *keyring
	roles      *roles
	epochs     *epochLog
	members    *members
	health     *health
	takeover   *takeover
	links      *links
	data       *dataPaths
	twins      *twins
	peer       *peerChannel
	redundancy *redundancy
	tolerances *tolerances
	reporter   *reporter
}

// New returns this node's half of the pair that the configuration wants. It reads which
// epochs were used; nothing else happens until Start.
func New(cfg *Config) (*Pair, error) {
	conf := cfg.System
	store, err := openEpochs(conf.StateDir)
	if err != nil {
		return nil, err
	}
	x := newMachine(conf, cfg.Log, cfg.Events)
	p := &Pair{
		machine: x, cfg: *conf.Failover,
		keys: &keyring{keys: conf.Failover.Keys()}, roles: newRoles(conf), members: newMembers(conf),
		epochs: &epochLog{machine: x, store: store, floor: store.all()}, redundancy: &redundancy{machine: x},
		tolerances: &tolerances{machine: x, confs: make(map[int][]*configs.System)},
	}
	p.machine.settle = settleLimit
	if cfg.Adopting {
		p.machine.settle = adoptingLimit
	}
	p.health = &health{machine: x, members: p.members, missing: make(map[string]absence)}
	p.takeover = &takeover{machine: x, roles: p.roles, members: p.members, epochs: p.epochs, hold: p.cfg.Hold,
		changed: cfg.Changed, muting: make(map[string]uint64), announcing: make(chan struct{}, 1),
		quiescing: &quiescence{machine: x, members: p.members, waiting: make(map[string]*waiting)}}
	p.links = &links{machine: x, list: newUplinks(conf), host: cfg.Links, records: cfg.Records, keys: p.keys,
		beats: make(chan beat, beatsSize), accept: p.accept}
	p.data = &dataPaths{machine: x, members: p.members, open: make(map[string]*dataPath),
		beats: make(chan beat, beatsSize)}
	p.twins = &twins{machine: x, roles: p.roles, members: p.members, links: p.links, keys: p.keys,
		obituary: &obituary{machine: x, members: p.members, links: p.links, hold: p.cfg.Hold}}
	p.peer = newPeerChannel(x, p.cfg.Unit, p.links, p.keys)
	p.reporter = &reporter{machine: x, cfg: &p.cfg, members: p.members, links: p.links, keys: p.keys}
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
		p.peer.close()
		<-p.finished
	}
}

// run is the goroutine that owns the role machine. A step that panics is told, and
// the next one follows.
func (p *Pair) run(ctx context.Context) {
	p.links.start(ctx)
	timer := time.NewTimer(p.machine.settle)
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
	case b := <-p.links.beats:
		p.receive(b, &out)
	case f := <-p.calls:
		f(time.Now(), &out)
	case b := <-p.data.beats:
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
	p.twins.connect(ctx, time.Now())
	p.twins.obituary.look(ctx, time.Now())
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
		if from := p.roles.of(g.Name); from != to {
			out.Changes = append(out.Changes, failover.RoleChange{Group: g.Name, From: from, To: to, Epoch: epoch,
				Reason: "realigned after an internal error"})
		} else if _, muting := p.takeover.muting[g.Name]; to != failover.RoleActive && !muting {
			p.node.Muted(time.Now(), g.Name, &out)
		}
		if to == failover.RoleActive {
			out.Remember = append(out.Remember, failover.Remember{Group: g.Name, Epoch: epoch, Now: true})
		}
	}
	p.carry(ctx, &out)
	return nil
}

// drain gives the heartbeats that wait to the role machine.
func (p *Pair) drain(out *failover.Output) { p.links.drain(func(b beat) { p.receive(b, out) }) }

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
		Unit: p.cfg.Unit, Keys: p.keys.all(), Version: build.Version(),
		Poll: p.cfg.Poll, Hold: p.cfg.Hold, Rand: rand.Reader,
	}
	for _, l := range p.cfg.Links {
		cfg.Links = append(cfg.Links, l.Name)
	}
	for _, g := range p.conf.Failover.Groups {
		group := groupConfig(p.conf, g, p.epochs.floor[g.Name])
		if p.members.adopted(&group); group.Known {
			p.epochs.floor[g.Name] = group.Adopted // what was written ahead was not used
		}
		cfg.Groups = append(cfg.Groups, group)
		cfg.Alone = cfg.Alone || p.members.lone(g.Name)
	}
	node, err := failover.New(now, cfg, out)
	if err != nil { // the configuration was checked: it cannot be
		p.log.Error("failover cannot begin", "reason", err)
		return
	}
	p.node = node
	for _, l := range p.links.list {
		node.LinkState(now, l.index, l.carrier, out)
	}
	for _, m := range p.members.byName {
		m.silences = m.worker.Status().Silences // those of the start are over
		p.health.assess(now, m, out)
		p.twins.progress(now, m, out) // of workers of an earlier process
	}
	p.health.assessMissing(now, 0, out)
	p.health.interfaces(now, out)
}

// inspect looks at what tells nothing by itself.
func (p *Pair) inspect(now time.Time, out *failover.Output) {
	p.data.openAll()
	p.health.inspect(now, out)
	p.redundancy.look(now)
}

// accept takes a connection of the peer, which has the key: of its supervisor, or of a worker.
func (p *Pair) accept(ctx context.Context, name string, conn *net.TCPConn, key secret.Value) error {
	if name == link.PeerName {
		return p.peer.admit(ctx, conn, key)
	}
	return p.twins.accept(ctx, name, conn, key)
}

// replicates takes what a worker says of its copy; nil: there is no worker.
func (p *Pair) replicates(name string, r *control.Replication) {
	p.post(func(now time.Time, out *failover.Output) {
		if m := p.members.byName[name]; m != nil {
			p.twins.heard(now, m, r, out)
			p.health.assess(now, m, out)
		}
	})
}

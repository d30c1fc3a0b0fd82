package system

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/internal/guard"
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

// beat is a heartbeat that came in.
type beat struct {
	path    failover.Path
	payload []byte
}

// pair is this node's half of a failover pair. A nil pair stands for a node
// alone. One goroutine, run, owns the role machine and everything below it;
// others reach it through do and post.
type pair struct {
	sys    *System
	cfg    configs.Failover
	log    *slog.Logger
	epochs *epochs

	open  func(netns.UplinkConfig) (linkDevice, error)
	watch func(ctx context.Context, changed func()) error // over the devices of links

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
	missing    map[string]time.Time // contexts that are not built, since when
	announcing chan struct{}        // has room while nobody announces addresses

	mu    sync.Mutex // protects what follows
	roles map[string]failover.Role
	owner map[string]string // the group of each context
	gone  []string          // what of the redundancy is gone, in sentences
}

// newPair returns the half of a pair that the configuration wants; nil: none.
func newPair(s *System, conf *configs.System) (*pair, error) {
	if conf.Failover == nil {
		return nil, nil
	}
	store, err := openEpochs(conf.StateDir)
	if err != nil {
		return nil, err
	}
	p := &pair{
		sys: s, cfg: *conf.Failover, log: s.cfg.Log, epochs: store, conf: conf,
		calls: make(chan func(time.Time, *failover.Output), beatsSize),
		beats: make(chan beat, beatsSize), strangers: make(chan beat, beatsSize),
		ended: make(chan struct{}), finished: make(chan struct{}), missing: make(map[string]time.Time), members: make(map[string]*member), floor: store.all(),
		byGroup: make(map[string][]*member), contexts: contextsByGroup(conf), announcing: make(chan struct{}, 1),
		quiescing: make(map[string]map[string]bool), muting: make(map[string]uint64), data: make(map[string]*dataPath), roles: make(map[string]failover.Role), owner: groupOf(conf),
	}
	p.open = func(c netns.UplinkConfig) (linkDevice, error) { return s.host.OpenUplink(c) }
	p.watch = func(ctx context.Context, changed func()) error { return s.host.WatchLinks(ctx, changed) }
	p.callers = newCallers()
	p.peer = &http.Transport{DialContext: p.callPeer, MaxIdleConns: 1, IdleConnTimeout: 5 * time.Second}
	for i, l := range conf.Failover.Links {
		on, _ := conf.Interface(l.Interface)
		p.links = append(p.links, &uplink{index: i, cfg: l, on: on, refusals: newRefusals(), again: make(chan struct{}, 1)})
	}
	return p, nil
}

// start begins to work; stop ends it.
func (p *pair) start() {
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

func (p *pair) stop() {
	if p != nil && p.cancel != nil {
		p.cancel()
		p.callers.Close()
		p.peer.CloseIdleConnections()
		<-p.finished
	}
}

// do runs f in the goroutine of run and waits for it; false: there is none.
func (p *pair) do(f func(now time.Time, out *failover.Output)) bool {
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
func (p *pair) post(f func(now time.Time, out *failover.Output)) bool {
	select {
	case p.calls <- f:
		return true
	case <-p.ended:
		return false
	}
}

// run is the goroutine that owns the role machine. A step that panics is told, and
// the next one follows.
func (p *pair) run(ctx context.Context) {
	for _, l := range p.links {
		p.owned.Go(func() { p.tend(ctx, l) })
		p.owned.Go(func() {
			guard.Keep(ctx, p.log, "the carrier of a failover link", watchRetry, func() error { return p.observe(ctx, l) }, func(error) {})
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
func (p *pair) step(ctx context.Context, due, look <-chan time.Time) error {
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
func (p *pair) realign(ctx context.Context) error {
	if p.node == nil {
		return nil
	}
	var out failover.Output
	for _, g := range p.conf.Failover.Groups {
		to, epoch := p.node.Role(g.Name)
		if from := p.role(g.Name); from != to {
			out.Changes = append(out.Changes, failover.RoleChange{Group: g.Name, From: from, To: to, Epoch: epoch, Reason: "realigned after an internal error"})
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
func (p *pair) async(what string, do func()) {
	p.owned.Go(func() {
		_ = guard.Run(p.log, what, func() error { // the log has been told
			do()
			return nil
		})
	})
}

// drain gives the heartbeats that wait to the role machine.
func (p *pair) drain(out *failover.Output) {
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
func (p *pair) receive(b beat, out *failover.Output) {
	if p.node != nil {
		if err := p.node.Receive(time.Now(), b.path, b.payload, out); err != nil {
			p.log.Debug("heartbeat dropped", "reason", err)
		}
	}
}

// settled says that the contexts are ready, or as ready as they will be.
func (p *pair) settled() {
	if p != nil {
		p.post(func(now time.Time, out *failover.Output) {
			if p.node == nil {
				p.begin(now, out)
			}
		})
	}
}

// begin looks for the peer from now on.
func (p *pair) begin(now time.Time, out *failover.Output) {
	cfg := failover.Config{
		Unit: failoverUnit(p.cfg.Unit), Key: p.cfg.Key, Version: build.Version(),
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
		p.assess(now, m, out)
	}
	p.assessMissing(now, 0, out)
	p.healthOfInterfaces(now, out)
}

// groupConfig translates a group of the configuration.
func groupConfig(conf *configs.System, g configs.FailoverGroup, epoch uint64) failover.GroupConfig {
	out := failover.GroupConfig{
		Name: g.Name, Prefer: failoverUnit(g.Prefer), Preempt: g.Preempt, PreemptDelay: g.PreemptDelay,
		Monitor: g.Monitor, InterfacePolicy: g.InterfacePolicy, Hash: configs.GroupHash(conf, g.Name), Epoch: epoch,
	}
	for _, c := range conf.Group(g.Name) {
		if !c.Suspended {
			out.Tenants = append(out.Tenants, c.Name)
		}
	}
	return out
}

// contextsByGroup returns the names of the contexts of each group, in order.
func contextsByGroup(conf *configs.System) map[string][]string {
	groups := make(map[string][]string)
	for _, c := range conf.Contexts {
		groups[c.FailoverGroup] = append(groups[c.FailoverGroup], c.Name)
	}
	for _, names := range groups {
		slices.Sort(names)
	}
	return groups
}

func failoverUnit(u configs.Unit) failover.Unit {
	switch u {
	case configs.Primary:
		return failover.UnitPrimary
	case configs.Secondary:
		return failover.UnitSecondary
	}
	return failover.UnitNone
}

// carry does what an Output says, in the order that it documents.
func (p *pair) carry(ctx context.Context, out *failover.Output) {
	for refused := p.remember(out.Remember); len(refused) > 0; {
		// Nothing of out has happened yet. Groups whose epochs are not on disk
		// do not become active, and what the peer would have been told is told again.
		out.Send = nil
		var more failover.Output
		for group, reason := range refused {
			p.node.Unwritten(time.Now(), group, reason, &more)
		}
		out.Changes = append(out.Changes, more.Changes...)
		out.Quiesce, out.Announce = append(out.Quiesce, more.Quiesce...), more.Announce
		out.Send, out.Events = more.Send, append(out.Events, more.Events...)
		refused = p.remember(more.Remember)
	}
	p.change(ctx, out.Changes)
	p.announce(out.Announce)
	for _, q := range out.Quiesce {
		p.quiesce(ctx, q)
	}
	for _, d := range out.Send {
		if err := p.send(d); err != nil {
			p.log.Debug("heartbeat not sent", "reason", err)
		}
	}
	for _, e := range out.Events {
		p.tell(e)
	}
}

// announce lets contexts announce their addresses, unless they still do.
func (p *pair) announce(groups []string) {
	var list []*member
	for _, group := range groups {
		list = append(list, p.byGroup[group]...)
	}
	if len(list) == 0 {
		return
	}
	select {
	case p.announcing <- struct{}{}:
	default:
		return
	}
	p.async("the announcement of addresses", func() {
		defer func() { <-p.announcing }()
		for _, m := range list {
			m.gateway.Announce()
		}
	})
}

// remember writes epochs down: those that are used now at once, and it returns
// the groups whose epochs could not be written, and why. The others are written
// behind the back of run, so that no takeover waits for a disk.
func (p *pair) remember(list []failover.Remember) (refused map[string]string) {
	now, later := make(map[string]uint64), make(map[string]uint64)
	for _, r := range list {
		if r.Now {
			now[r.Group] = max(now[r.Group], r.Epoch)
		} else {
			later[r.Group] = max(later[r.Group], r.Epoch)
		}
	}
	if len(later) > 0 {
		p.async("the epochs of failover groups", func() {
			if err := p.epochs.set(later); err != nil {
				p.log.Error("epochs not written down", "count", len(later), "reason", err)
				return
			}
			p.post(func(time.Time, *failover.Output) {
				for group, epoch := range later {
					p.node.Remembered(group, epoch)
				}
			})
		})
	}
	if len(now) == 0 {
		return nil // and waits for no disk
	}
	if err := p.epochs.set(now); err != nil {
		p.log.Error("epochs not written down", "count", len(now), "reason", err)
		refused = make(map[string]string)
		for group := range now {
			refused[group] = err.Error()
		}
	}
	return refused
}

// change makes the contexts play their new roles, and waits for none of them. Of
// several changes of one group the last counts.
func (p *pair) change(ctx context.Context, list []failover.RoleChange) {
	last := make(map[string]failover.RoleChange)
	for _, c := range list {
		last[c.Group] = c
		if c.To == failover.RoleActive {
			p.floor[c.Group] = max(p.floor[c.Group], c.Epoch)
		}
	}
	if len(last) == 0 {
		return
	}
	for _, c := range last {
		p.mu.Lock()
		served := p.roles[c.Group] == failover.RoleActive
		p.roles[c.Group] = c.To
		p.mu.Unlock()
		var playing sync.WaitGroup
		for _, m := range p.byGroup[c.Group] {
			p.play(ctx, m, &playing)
		}
		if c.To == failover.RoleActive {
			delete(p.muting, c.Group)
			continue
		}
		delete(p.quiescing, c.Group)
		if served {
			p.awaitMuted(c.Group, &playing)
		}
	}
	p.sys.poke()
}

// awaitMuted tells the role machine when the contexts of a group have fallen silent,
// unless another change overtakes this one. It takes muteTime and what the kernel
// needs to end a process: a worker that does not obey is killed.
func (p *pair) awaitMuted(group string, playing *sync.WaitGroup) {
	p.changes++
	change := p.changes
	p.muting[group] = change
	p.owned.Go(func() {
		playing.Wait()
		p.post(func(now time.Time, out *failover.Output) {
			if p.muting[group] == change {
				delete(p.muting, group)
				p.node.Muted(now, group, out)
			}
		})
	})
}

// muteTime is what a worker gets to fall silent.
func (p *pair) muteTime() time.Duration { return max(p.cfg.Hold/2, shortestMute) }

// quiesce asks the workers of a group to finish what they have begun.
func (p *pair) quiesce(ctx context.Context, q failover.Quiesce) {
	delete(p.quiescing, q.Group)
	waiting := make(map[string]bool)
	for _, m := range p.byGroup[q.Group] {
		if !q.Cancel && m.worker.Status().Ready {
			waiting[m.name] = true
		}
		p.async("the end of what a worker has begun", func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if err := m.worker.Quiesce(ctx, control.Quiesce{Cancel: q.Cancel}); err != nil {
				p.quiesced(m.name)
			}
		})
	}
	if q.Cancel {
		return
	}
	p.quiescing[q.Group] = waiting
	if len(waiting) == 0 {
		p.owned.Go(func() { p.quiesced("") })
	}
}

// quiesced says that a worker has finished; the last one finishes its group.
func (p *pair) quiesced(tenant string) {
	p.post(func(now time.Time, out *failover.Output) {
		for group, waiting := range p.quiescing {
			delete(waiting, tenant)
			if len(waiting) == 0 {
				delete(p.quiescing, group)
				p.node.Quiesced(now, group, out)
			}
		}
	})
}

// tell logs an event.
func (p *pair) tell(e failover.Event) {
	args := []any{}
	add := func(key string, value any, there bool) {
		if there {
			args = append(args, key, value)
		}
	}
	add("group", e.Group, e.Group != "")
	add("from", e.From.String(), e.Kind == failover.EventRole)
	add("to", e.To.String(), e.Kind == failover.EventRole)
	add("epoch", e.Epoch, e.Epoch != 0)
	switch {
	case e.Path.Link == failover.DataPath:
		add("interface", e.Path.Interface, true)
	case e.Kind == failover.EventLinkUp || e.Kind == failover.EventLinkDown || e.Kind == failover.EventPeerRefused:
		add("link", p.cfg.Links[e.Path.Link].Name, true)
	}
	add("reason", e.Text, e.Text != "")
	level := slog.LevelInfo
	switch e.Kind {
	case failover.EventPeerDown, failover.EventPeerRefused, failover.EventLinkDown, failover.EventLinksFailed,
		failover.EventSplitBrain, failover.EventTakeoverDenied, failover.EventSkew, failover.EventConfigurationDiffers:
		level = slog.LevelWarn
	case failover.EventRole, failover.EventPeerUp, failover.EventLinkUp, failover.EventConfiguration,
		failover.EventInterface, failover.EventHandover:
	}
	if e.Kind == failover.EventLinkUp && e.Path.Link == failover.DataPath {
		level = slog.LevelDebug // they speak only now and then
	}
	p.log.Log(context.Background(), level, e.Kind.String(), args...)
}

// handOver gives what is active here to the peer, if that is ready for it, and
// waits until the peer has it, no longer than limit.
func (p *pair) handOver(limit time.Duration) {
	if p == nil {
		return
	}
	given := make(map[string]bool)
	p.do(func(now time.Time, out *failover.Output) {
		for _, g := range p.conf.Failover.Groups {
			if p.node == nil || p.role(g.Name) != failover.RoleActive {
				continue
			}
			if err := p.node.Switch(now, g.Name, "this unit is being stopped", out); err != nil {
				p.log.Info("failover group not handed over", "group", g.Name, "reason", err)
				continue
			}
			given[g.Name] = true
		}
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); len(given) > 0 && time.Now().Before(end); <-tick.C {
		p.do(func(now time.Time, _ *failover.Output) {
			for name := range given {
				if g, ok := p.node.Group(now, name); !ok || g.PeerRole == failover.RoleActive.String() {
					delete(given, name)
				}
			}
		})
	}
}

// role returns the present role of a group.
func (p *pair) role(group string) failover.Role {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roles[group]
}

// active tells whether a group is active on this unit.
func (p *pair) active(group string) bool { return p != nil && p.role(group) == failover.RoleActive }

// standby tells of a context that is standby here: its disk follows the other unit's.
func (p *pair) standby(tenant string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.owner[tenant]
	return group != "" && p.roles[group].Standby()
}

// twinned tells of a context that has a standby unit.
func (p *pair) twinned(tenant string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owner[tenant] != ""
}

// groupOf returns the group of each context.
func groupOf(conf *configs.System) map[string]string {
	owner := make(map[string]string)
	for _, c := range conf.Contexts {
		owner[c.Name] = c.FailoverGroup
	}
	return owner
}

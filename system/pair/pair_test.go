package pair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/plan"
)

// patience is how long a state is waited for that comes within moments on an idle
// machine. Only a test that fails waits so long.
const patience = 2 * time.Minute

// pairUnit is one node of a pair over the loopback device, with a context whose
// network and worker are not real.
type pairUnit struct {
	t      *testing.T
	pair   *Pair
	conf   *configs.System
	net    *fakeNetwork
	worker *fakeServant
}

// loopback returns an address that no other test process uses.
func loopback(last byte) netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(64 + pid>>8&127), byte(pid), last})
}

// newPairUnit returns a unit that is not started yet. Its state survives in dir.
func newPairUnit(t *testing.T, unitName failover.Unit, dir string, edit func(*configs.System)) *pairUnit {
	t.Helper()
	own, peer := loopback(1), loopback(2)
	if unitName == failover.UnitSecondary {
		own, peer = peer, own
	}
	tenant := &spec.Tenant{Name: "acme", Interfaces: []spec.Interface{{Name: "outside",
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}}
	conf := &configs.System{
		StateDir: dir,
		Failover: &configs.Failover{
			Unit: unitName, Key: secret.Copy([]byte("the key of the pair")), Poll: failover.DefaultPoll,
			Hold: 10 * failover.DefaultHold,
			Links: []configs.FailoverLink{{Name: "direct", Interface: "Ethernet0/9", Address: netip.PrefixFrom(own, 8),
				Peer: peer}},
			Groups: []configs.FailoverGroup{{Name: "1", Prefer: failover.UnitPrimary}},
		},
		Contexts: []configs.Tenant{{Name: "acme", FailoverGroup: "1", Spec: tenant,
			Allocations: []configs.Allocation{{Interface: "Ethernet0/0", Name: "outside"}}}},
	}
	if edit != nil {
		edit(conf)
	}
	log := slog.New(slog.NewTextHandler(logTo{t}, nil)).With("name", string(unitName))
	p, err := New(&Config{System: conf, Links: fakeLinks{}, Records: t.TempDir(), Changed: func() {}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	u := &pairUnit{pair: p, t: t, conf: conf, net: &fakeNetwork{}, worker: &fakeServant{t: t,
		epochs: p.epochs.store, reports: make(chan control.Replication, 100)}}
	return u
}

// newUnits returns the two units of a pair, which are not started yet.
func newUnits(t *testing.T) (primary, secondary *pairUnit) {
	t.Helper()
	return newPairUnit(t, failover.UnitPrimary, t.TempDir(), nil), newPairUnit(t, failover.UnitSecondary, t.TempDir(),
		nil)
}

// logTo writes to the log of a test.
type logTo struct{ t *testing.T }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

func (u *pairUnit) boot() {
	u.prepare()
	u.pair.Settled()
}

// prepare is boot until the contexts are ready.
func (u *pairUnit) prepare() {
	u.t.Helper()
	u.pair.Start()
	w := &plan.Wanted{Tenant: u.conf.Contexts[0]}
	if twin := u.pair.Twin(w); twin.Unit != u.conf.Failover.Unit || twin.Activation.Active {
		u.t.Errorf("the worker begins as %+v", twin.Activation)
	}
	u.worker.run(u.pair)
	u.t.Cleanup(u.kill)
	u.pair.join(w, u.net, u.worker)
}

// kill is the end of the process, as the peer sees it.
func (u *pairUnit) kill() {
	u.pair.Stop()
	u.worker.end()
}

// until waits for a role, for its network and for its worker.
func (u *pairUnit) until(role failover.Role) {
	u.t.Helper()
	for limit := time.Now().Add(patience); ; {
		if u.pair.roles.of("1") == role && u.net.role() == role && u.worker.active() == (role == failover.RoleActive) {
			return
		}
		if time.Now().After(limit) {
			u.t.Fatalf("%s: role %v, network %v, worker active: %v; want %v", u.conf.Failover.Unit,
				u.pair.roles.of("1"), u.net.role(), u.worker.active(), role)
		}
		time.Sleep(time.Millisecond)
	}
}

// formed waits until each unit of a pair has its role and knows the other's: only
// then may an operator expect that a switch is taken up.
func formed(active, standby *pairUnit) {
	active.t.Helper()
	active.until(failover.RoleActive)
	standby.until(failover.RoleStandbyReady)
	active.knows(failover.RoleStandbyReady)
	standby.knows(failover.RoleActive)
}

// knows waits until the peer is heard to have a role, with the same
// configuration.
func (u *pairUnit) knows(role failover.Role) {
	u.t.Helper()
	u.shows("the peer's role "+role.String(), func(st *Status) bool {
		return st.Peer.State == "alive" && st.Groups[0].PeerRole == role.String() &&
			st.Groups[0].Configuration == "same"
	})
}

// shows waits until the status has what is looked for.
func (u *pairUnit) shows(what string, is func(*Status) bool) {
	u.t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		st := u.pair.Status(u.t.Context())
		if is(st) {
			return
		}
		if time.Now().After(limit) {
			u.t.Fatalf("%s does not show %s: %+v", u.conf.Failover.Unit, what, st)
		}
	}
}

// TestPair forms a pair, switches it, kills the active, lets it return, and
// hands over at the end.
func TestPair(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := newPairUnit(t, failover.UnitPrimary, dirs[0], nil), newPairUnit(t, failover.UnitSecondary, dirs[1], nil)
	a.boot()
	b.boot()
	formed(a, b)

	if _, err := a.pair.Switch(t.Context(), "2"); err == nil {
		t.Error("a group that is not there was switched")
	}
	done, err := a.pair.Switch(t.Context(), "")
	if err != nil || len(done) != 1 || done[0].PeerRole != "active" {
		t.Fatalf("%+v, %v", done, err)
	}
	formed(b, a)
	done, err = a.pair.Switch(t.Context(), "1") // on the standby
	if err != nil || done[0].Role != "active" {
		t.Fatalf("%+v, %v", done, err)
	}
	formed(a, b)

	killed := time.Now()
	a.kill()
	b.until(failover.RoleActive)
	t.Logf("taken over after %v", time.Since(killed).Round(time.Millisecond))
	b.shows("a silent peer", func(st *Status) bool {
		return st.Peer.State == "silent" && st.Contexts[0].Active && len(st.History) > 0
	})

	a = newPairUnit(t, failover.UnitPrimary, dirs[0], nil)
	a.boot()
	formed(b, a)

	b.pair.HandOver(10 * time.Second)
	b.kill()
	a.until(failover.RoleActive)
	a.kill()

	var used []uint64
	for _, s := range []*fakeServant{a.worker, b.worker} {
		used = append(used, s.epochsSeen()...)
	}
	slices.Sort(used)
	if len(slices.Compact(used)) != len(used) || len(used) < 3 {
		t.Errorf("epochs %v were used: one twice, or too few", used)
	}
}

// TestRedundancy: a unit says what stands against a takeover, while something
// does.
func TestRedundancy(t *testing.T) {
	a, b := newUnits(t)
	says := func(u *pairUnit, want ...string) {
		t.Helper()
		for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			got := u.pair.Redundancy()
			if slices.Equal(got, want) {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%s says %q, want %q", u.conf.Failover.Unit, got, want)
			}
		}
	}
	const without = "1 of 1 failover groups without a standby that is ready: 1"
	a.boot()
	says(a, "the other unit was never heard", without)
	b.boot()
	formed(a, b)
	says(a)
	says(b)
	a.kill()
	says(b, "the other unit is silent", without)
	b.kill()
}

// TestRedundancyOfDifferentConfigurations: where the standby is not ready because
// it has another configuration, the unit says so, and what helps.
func TestRedundancyOfDifferentConfigurations(t *testing.T) {
	a := newPairUnit(t, failover.UnitPrimary, t.TempDir(), nil)
	b := newPairUnit(t, failover.UnitSecondary, t.TempDir(),
		func(s *configs.System) { s.Contexts[0].Spec.Interfaces[0].MTU = 1400 })
	a.boot()
	a.until(failover.RoleActive)
	b.boot()
	want := []string{
		"1 of 1 failover groups with another configuration on the other unit " +
			"(`warren failover diff` shows it): 1",
		"1 of 1 failover groups without a standby that is ready: 1",
	}
	for limit := time.Now().Add(patience); !slices.Equal(a.pair.Redundancy(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("it says %q, want %q", a.pair.Redundancy(), want)
		}
	}
	if got := a.pair.Differences(); !slices.Equal(got, want[:1]) {
		t.Errorf("an apply says %q, want %q", got, want[:1])
	}
	a.kill()
	b.kill()
}

// TestEpochNotWritten: a unit that cannot write its epoch down does not serve, and
// its peer does.
func TestEpochNotWritten(t *testing.T) {
	a, b := newUnits(t)
	a.pair.epochs.store.path = filepath.Join(t.TempDir(), "missing", epochsName)
	a.boot()
	a.until(failover.RoleFailed)
	if used := a.worker.epochsSeen(); len(used) > 0 {
		t.Errorf("epochs %v were used", used)
	}
	b.boot()
	b.until(failover.RoleActive)
	a.kill()
	b.kill()
}

// TestDialling: whatever the order in which the worker and the connection come,
// the next attempt is not put off for longer than the back-off says.
func TestDialling(t *testing.T) {
	start := time.Unix(1000, 0)
	refused, connected := &control.Replication{}, &control.Replication{Connected: true}
	var d dialling
	if !d.due(start) {
		t.Fatal("nothing stands against the first attempt")
	}
	for _, step := range []struct {
		what string
		do   func(now time.Time)
		due  time.Duration // after the step; less than zero: not at all
	}{
		{"begin", d.begin, -1},
		{"the worker fails first", func(now time.Time) { d.answered(now, refused) }, -1},
		{"then end", func(now time.Time) { d.end(now, nil) }, dialFirst},
		{"begin again", d.begin, -1},
		{"end first", func(now time.Time) { d.end(now, nil) }, answerLimit},
		{"then the worker fails", func(now time.Time) { d.answered(now, refused) }, 2 * dialFirst},
		{"and again", d.begin, -1},
		{"no connection", func(now time.Time) { d.end(now, errors.New("refused")) }, 4 * dialFirst},
		{"at last", d.begin, -1},
		{"the worker is glad", func(now time.Time) { d.answered(now, connected) }, -1},
		{"and end", func(now time.Time) { d.end(now, nil) }, -1},
		{"lost", func(now time.Time) { d.answered(now, refused) }, dialFirst},
	} {
		step.do(start)
		got := time.Duration(-1)
		for after := range 10 * time.Second / time.Millisecond {
			if d.due(start.Add(after * time.Millisecond)) {
				got = after * time.Millisecond
				break
			}
		}
		if got != step.due {
			t.Errorf("%s: due after %v, want %v", step.what, got, step.due)
		}
	}
}

// TestStubbornWorker does not fall silent, and is killed for it.
func TestStubbornWorker(t *testing.T) {
	a, b := newUnits(t)
	a.boot()
	b.boot()
	formed(a, b)
	a.worker.stubborn(true)
	if _, err := b.pair.Switch(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	formed(b, a)
	if a.worker.killed() != 1 {
		t.Errorf("the worker was killed %d times", a.worker.killed())
	}
	a.kill()
	b.kill()
}

// TestLostWorker: a context whose worker does not come back gives its group away.
func TestLostWorker(t *testing.T) {
	a, b := newUnits(t)
	a.boot()
	b.boot()
	formed(a, b)
	a.worker.lose()
	b.until(failover.RoleActive)
	a.until(failover.RoleFailed)
	a.kill()
	b.kill()
}

// TestSilentWorker: a worker that hangs gives its group away, although another one
// has taken its place already.
func TestSilentWorker(t *testing.T) {
	a, b := newUnits(t)
	a.boot()
	b.boot()
	formed(a, b)
	a.worker.hang()
	b.until(failover.RoleActive)
	a.until(failover.RoleFailed)
	if a.worker.killed() > 0 {
		t.Error("a worker was killed that obeys")
	}
	a.kill()
	b.kill()
}

// TestHungWorkerHoldsUpNobody: while a worker neither falls silent nor can be killed,
// this node goes on to speak to its peer, and the peer does not take over.
func TestHungWorkerHoldsUpNobody(t *testing.T) {
	a, b := newUnits(t)
	a.boot()
	b.boot()
	formed(a, b)
	a.worker.stubborn(true)
	dies := make(chan struct{})
	a.worker.immortal(dies)
	b.pair.Status(t.Context())
	switched := make(chan error, 1)
	go func() {
		_, err := b.pair.Switch(t.Context(), "")
		switched <- err
	}()
	for limit := time.Now().Add(patience); a.net.role() == failover.RoleActive; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("its addresses are not taken from it")
		}
	}
	for range 20 { // as often as its goroutine can be asked
		a.pair.Status(t.Context())
	}
	b.shows("an active peer that is heard", func(st *Status) bool {
		return st.Peer.State == "alive" && st.Groups[0].PeerRole == "active"
	})
	if b.pair.roles.of("1") == failover.RoleActive {
		t.Error("the peer has taken over although the worker may be sending")
	}
	close(dies)
	formed(b, a)
	if err := <-switched; err != nil {
		t.Logf("the operator was told: %v", err)
	}
	a.kill()
	b.kill()
}

// TestRolesAreMadeInOrder: steps back and takeovers one right behind the other end
// with a context that serves, however they are scheduled.
func TestRolesAreMadeInOrder(t *testing.T) {
	u := newPairUnit(t, failover.UnitPrimary, t.TempDir(), nil)
	u.boot()
	u.until(failover.RoleActive)
	changes := slices.Repeat([]failover.Role{failover.RoleStandbyCold, failover.RoleActive}, 10)
	for i := range 100 {
		var playing sync.WaitGroup
		u.pair.do(func(time.Time, *failover.Output) {
			for _, role := range changes {
				u.pair.roles.set("1", role)
				u.pair.takeover.play(t.Context(), u.pair.members.byName["acme"], &playing)
			}
		})
		playing.Wait()
		if !u.worker.active() || u.net.role() != failover.RoleActive {
			t.Fatalf("run %d: worker active: %v, network %v", i, u.worker.active(), u.net.role())
		}
	}
	u.kill()
}

// TestFaultInRoleMachine: what panics in the goroutine of the role machine, in the
// midst of a change, ends neither that goroutine nor the change.
func TestFaultInRoleMachine(t *testing.T) {
	defer guard.Enable()()
	a, b := newUnits(t)
	a.boot()
	b.boot()
	formed(a, b)
	a.pair.do(func(now time.Time, out *failover.Output) {
		if err := a.pair.node.Switch(now, "1", "the operator switched", out); err != nil {
			t.Fatal(err)
		}
		a.pair.node.Quiesced(now, "1", out)
		panic("on purpose")
	})
	formed(b, a)
	a.kill()
	b.kill()
}

// TestDifferentPeers: a peer with another configuration stays cold; one with
// another key is a stranger, whom nobody waits for.
func TestDifferentPeers(t *testing.T) {
	a := newPairUnit(t, failover.UnitPrimary, t.TempDir(), nil)
	b := newPairUnit(t, failover.UnitSecondary, t.TempDir(), func(c *configs.System) {
		c.Contexts[0].Spec.Interfaces[0].Addresses[0] = netip.MustParsePrefix("192.0.2.9/24")
	})
	a.boot()
	b.boot()
	a.until(failover.RoleActive)
	b.until(failover.RoleStandbyCold)
	if _, err := a.pair.Switch(t.Context(), ""); err == nil {
		t.Error("switched to a unit with another configuration")
	}
	b.kill()
	b = newPairUnit(t, failover.UnitSecondary, t.TempDir(),
		func(c *configs.System) { c.Failover.Key = secret.Copy([]byte("some other key of a pair")) })
	b.boot()
	a.shows("a peer with another key", func(st *Status) bool {
		return st.Peer.State == "refused" && st.Links[0].Reason != ""
	})
	a.until(failover.RoleActive)
	b.until(failover.RoleActive)
	a.kill()
	b.kill()
}

// fakeNetwork is a network that remembers its role.
type fakeNetwork struct {
	mu  sync.Mutex // protects now
	now failover.Role
}

func (n *fakeNetwork) role() failover.Role {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *fakeNetwork) SetRole(r failover.Role) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = r
	return nil
}

func (n *fakeNetwork) Announce()                                      {}
func (n *fakeNetwork) Carriers() map[string]bool                      { return map[string]bool{"outside": true} }
func (n *fakeNetwork) Link(string) (device, mac string, _ int)        { return "outside", "", 0 }
func (n *fakeNetwork) Do(func() error) error                          { return errors.New("there is no namespace") }
func (n *fakeNetwork) WatchLinks(ctx context.Context, changed func()) { <-ctx.Done() }

// fakeLinks are links whose devices are always there.
type fakeLinks struct{}

func (fakeLinks) Open(netns.UplinkConfig) (LinkDevice, error) { return fakeDevice{}, nil }

func (fakeLinks) Watch(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return nil
}

// lostSession is what a worker says whose session with its twin has ended.
var lostSession = control.Replication{State: failover.ReplicationNone, Holds: true}

// fakeDevice is a link's device.
type fakeDevice struct{}

func (fakeDevice) Device() string { return "" }
func (fakeDevice) Carrier() bool  { return true }
func (fakeDevice) Close() error   { return nil }

// fakeServant is a worker that is in step as soon as it has a connection.
type fakeServant struct {
	t       *testing.T
	epochs  *epochs
	reports chan control.Replication
	ended   sync.WaitGroup
	stop    context.CancelFunc
	pair    *Pair

	mu      sync.Mutex // protects what follows
	role    control.Activation
	used    []uint64
	deaf    bool
	deaths  int
	lost    bool
	silent  int // processes that did not answer
	dies    <-chan struct{}
	adopted bool // of an earlier process
}

// run tells the pair what the worker has to say.
func (s *fakeServant) run(p *Pair) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.pair = stop, p
	s.ended.Go(func() {
		for {
			select {
			case r := <-s.reports:
				p.replicates("acme", &r)
			case <-ctx.Done():
				return
			}
		}
	})
}

func (s *fakeServant) end() {
	s.stop()
	s.ended.Wait()
}

func (s *fakeServant) active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role.Active
}

func (s *fakeServant) stubborn(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = on
}

func (s *fakeServant) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = true
}

func (s *fakeServant) hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent++
}

// immortal lets Kill wait until dies is closed.
func (s *fakeServant) immortal(dies <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dies = dies
}

func (s *fakeServant) killed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deaths
}

func (s *fakeServant) epochsSeen() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func (s *fakeServant) SetRole(ctx context.Context, r control.Activation) error {
	s.mu.Lock()
	deaf := s.deaf && !r.Active
	s.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	s.play(r, false)
	return nil
}

// play takes over a role. A standby that is told another epoch keeps its session
// with the twin, a fresh worker has none.
func (s *fakeServant) play(r control.Activation, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Active && r.Epoch != s.role.Epoch {
		s.used = append(s.used, r.Epoch)
		if disk := s.epochs.all()["1"]; disk < r.Epoch {
			s.t.Errorf("epoch %d is used, and the disk knows %d", r.Epoch, disk)
		}
	}
	follows := !s.role.Active && !r.Active && !fresh
	s.role = r
	if !follows {
		s.reports <- control.Replication{State: failover.ReplicationNone, Active: r.Active, Holds: true}
	}
}

func (s *fakeServant) Activation() control.Activation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role
}

func (s *fakeServant) Adopted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adopted
}

func (s *fakeServant) Link(_ context.Context, conn *os.File, _ secret.Value) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports <- control.Replication{State: failover.ReplicationReady, Connected: true, Active: s.role.Active,
		Holds: true}
	return nil
}

func (s *fakeServant) Quiesce(ctx context.Context, q control.Quiesce) error {
	s.mu.Lock()
	deaf := s.deaf
	s.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	if !q.Cancel {
		s.pair.takeover.quiescing.done("acme")
	}
	return nil
}

func (s *fakeServant) Kill() error {
	s.mu.Lock()
	dies := s.dies
	s.mu.Unlock()
	if dies != nil {
		<-dies
	}
	s.mu.Lock()
	s.deaths++
	s.deaf = false
	s.mu.Unlock()
	s.play(control.Activation{}, true)
	return nil
}

func (s *fakeServant) Status() spawn.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		return spawn.Status{Reason: "it crashes", Losses: lossesFailed + 1}
	}
	return spawn.Status{Ready: true, Silences: s.silent}
}

func (s *fakeServant) Replication(context.Context) (*control.Replication, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &control.Replication{State: failover.ReplicationReady, Active: s.role.Active}, nil
}

func TestEpochs(t *testing.T) {
	dir := t.TempDir()
	e, err := openEpochs(dir)
	if err != nil || len(e.all()) != 0 {
		t.Fatalf("%v, %v", e, err)
	}
	var writing sync.WaitGroup
	for i := range uint64(20) {
		writing.Go(func() {
			if err := e.set(map[string]uint64{fmt.Sprint(i % 2): i}); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	again, err := openEpochs(dir)
	if err != nil || again.all()["0"] != 18 || again.all()["1"] != 19 {
		t.Errorf("%v, %v", again.all(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, epochsName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openEpochs(dir); err == nil {
		t.Error("a damaged file is read as none")
	}
}

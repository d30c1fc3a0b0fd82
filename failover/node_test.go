package failover

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// lab is two nodes in virtual time. A message takes a millisecond.
type lab struct {
	t     *testing.T
	now   time.Time
	nodes [2]*Node
	seen  [2]Output // everything since the last look
	cut   [2]bool   // links
	data  bool      // the data network works
	deaf  bool      // no worker falls silent
	still *Node     // stands still, and will go on
	drop  func(from int, d Datagram) bool
	wire  []flight
	disk  [2]uint64
	cfg   [2]Config
}

type flight struct {
	at time.Time
	to int
	d  Datagram
}

type reader struct{ *rand.Rand }

func (r reader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return len(b), nil
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), data: true}
	for i, u := range []Unit{UnitPrimary, UnitSecondary} {
		l.cfg[i] = Config{
			Unit: u, Keys: []secret.Value{secret.Copy([]byte("sixteen characters"))}, Version: "1",
			Links: []string{"one", "two"}, Rand: reader{rand.New(rand.NewPCG(uint64(i), 1))},
			Groups: []GroupConfig{{Name: "g", Tenants: []string{"acme"}, Monitor: []string{"outside", "inside"},
				InterfacePolicy: 1}},
		}
	}
	return l
}

func (l *lab) boot(i int) {
	l.t.Helper()
	var out Output
	l.cfg[i].Groups[0].Epoch = l.disk[i]
	n, err := New(l.now, l.cfg[i], &out)
	if err != nil {
		l.t.Fatal(err)
	}
	l.nodes[i] = n
	l.take(i, &out)
}

// do calls node i and takes what it wants.
func (l *lab) do(i int, call func(n *Node, out *Output)) {
	var out Output
	call(l.nodes[i], &out)
	l.take(i, &out)
}

func (l *lab) take(i int, out *Output) {
	for _, r := range out.Remember {
		l.disk[i] = max(l.disk[i], r.Epoch)
		l.nodes[i].Remembered(r.Group, r.Epoch)
	}
	for _, d := range out.Send {
		if d.Path.Link >= 0 && l.cut[d.Path.Link] || d.Path.Link < 0 && !l.data || l.drop != nil && l.drop(i, d) {
			continue
		}
		l.wire = append(l.wire, flight{l.now.Add(time.Millisecond), 1 - i, d})
	}
	for _, c := range out.Changes {
		if c.From == RoleActive && c.To != RoleActive && !l.deaf {
			l.do(i, func(n *Node, out *Output) { n.Muted(l.now, c.Group, out) })
		}
	}
	s := &l.seen[i]
	s.Changes = append(s.Changes, out.Changes...)
	s.Quiesce = append(s.Quiesce, out.Quiesce...)
	s.Announce = append(s.Announce, out.Announce...)
	s.Events = append(s.Events, out.Events...)
}

// run lets time pass.
func (l *lab) run(d time.Duration) {
	for end := l.now.Add(d); l.now.Before(end); l.now = l.now.Add(time.Millisecond) {
		for len(l.wire) > 0 && !l.wire[0].at.After(l.now) {
			f := l.wire[0]
			l.wire = l.wire[1:]
			if l.nodes[f.to] != nil {
				l.do(f.to, func(n *Node, out *Output) { _ = n.Receive(l.now, f.d.Path, f.d.Payload, out) })
			}
		}
		for i, n := range l.nodes {
			if n != nil && !l.now.Before(n.Deadline()) {
				l.do(i, func(n *Node, out *Output) { n.Expire(l.now, out) })
				if d := n.Deadline(); !d.After(l.now) {
					l.t.Errorf("node %d: the next deadline, %v, is not after %v", i, d, l.now)
				}
			}
		}
	}
}

// pair boots both nodes and brings the standby in step.
func (l *lab) pair() {
	l.t.Helper()
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	l.ready(1)
	l.want("active", "standby-ready")
}

// settled is a lab with a pair whose nodes have known each other for a while.
func settled(t *testing.T) *lab {
	t.Helper()
	l := newLab(t)
	l.pair()
	l.run(200 * time.Millisecond)
	return l
}

// switched has the operator switch on node i, and in the same moment what then does, if it
// is not nil.
func (l *lab) switched(i int, then func(n *Node, out *Output)) {
	l.t.Helper()
	l.do(i, func(n *Node, out *Output) {
		if err := n.Switch(l.now, "g", "the operator switched", out); err != nil {
			l.t.Fatal(err)
		}
		if then != nil {
			then(n, out)
		}
	})
}

func (l *lab) ready(i int) {
	l.do(i, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationBulk, out) })
	l.do(i, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationReady, out) })
	l.run(60 * time.Millisecond)
}

func (l *lab) want(roles ...string) {
	l.t.Helper()
	var got []string
	for _, n := range l.nodes {
		if n == nil {
			got = append(got, "dead")
			continue
		}
		r, _ := n.Role("g")
		got = append(got, r.String())
	}
	if diff := cmp.Diff(roles, got); diff != "" {
		l.t.Errorf("roles (-want +got):\n%s", diff)
	}
}

// event reports whether node i had an event of the kind whose text contains text.
func (l *lab) event(i int, k EventKind, text string) {
	l.t.Helper()
	if !slices.ContainsFunc(l.seen[i].Events, func(e Event) bool {
		return e.Kind == k && strings.Contains(e.Text, text)
	}) {
		l.t.Errorf("node %d: no event %q with %q", i, k, text)
	}
}

func TestTakeoverOfSilentPeer(t *testing.T) {
	l := newLab(t)
	l.pair()
	died := l.now
	l.nodes[0] = nil
	l.run(400 * time.Millisecond)
	l.want("dead", "active")
	changes := l.seen[1].Changes
	last := changes[len(changes)-1]
	if took := last.At.Sub(died); took > DefaultHold+2*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if last.Epoch != 2 || !strings.Contains(last.Reason, "silent") {
		t.Errorf("got %+v", last)
	}
	// The dead one returns, and follows.
	l.boot(0)
	l.run(100 * time.Millisecond)
	l.want("standby-cold", "active")
}

// TestTakeoverWithoutCopy has a standby that has nothing to take over with: it
// gives a slow peer, whose SAs would go, more time than a dead one.
func TestTakeoverWithoutCopy(t *testing.T) {
	l := newLab(t)
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	l.do(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationBulk, out) })
	l.want("active", "bulk-sync")
	silence := func(d time.Duration) {
		l.drop = func(int, Datagram) bool { return true }
		l.run(d)
		l.drop = nil
	}
	silence(patience*DefaultHold - 60*time.Millisecond) // the last heartbeat was up to 50 ms before
	l.want("active", "bulk-sync")
	l.run(100 * time.Millisecond)
	l.want("active", "bulk-sync")
	silence(patience*DefaultHold + 10*time.Millisecond)
	l.want("active", "active")
}

func TestLinksFailedIsNoTakeover(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.cut = [2]bool{true, true}
	l.run(2 * time.Second)
	l.want("active", "standby-ready") // replication is not the node's to know
	l.event(1, EventLinksFailed, "no takeover")
	if s := l.nodes[1].Status(l.now); s.Peer.State != "alive, links failed" {
		t.Errorf("peer is %q", s.Peer.State)
	}
	l.data = false
	l.run(300 * time.Millisecond)
	l.want("active", "active")

	// Healing: the lower epoch gives in within a heartbeat.
	l.cut = [2]bool{}
	l.run(60 * time.Millisecond)
	l.want("standby-cold", "active")
	l.event(0, EventSplitBrain, "the peer has epoch 2")
	l.event(1, EventSplitBrain, "stays active")
	if !slices.Contains(l.seen[1].Announce, "g") {
		t.Error("the winner did not announce its addresses")
	}
	// The loser may have announced them when it heard the winner: once it has
	// given in, the winner does so again.
	announced := 0
	for _, c := range l.seen[1].Announce {
		if c == "g" {
			announced++
		}
	}
	l.do(1, func(n *Node, out *Output) {
		n.groups[0].against = 1
		n.Expire(l.now, out)
	})
	if len(l.seen[1].Announce) != announced+1 {
		t.Error("the winner did not announce its addresses after the loser had given in")
	}
}

// TestAskedInTime cuts the links at every moment between two heartbeats: what
// is left of the hold time is enough to ask on the data interfaces more than
// once.
func TestAskedInTime(t *testing.T) {
	for offset := range DefaultPoll / (7 * time.Millisecond) {
		l := newLab(t)
		l.pair()
		l.run(offset * 7 * time.Millisecond)
		l.cut = [2]bool{true, true}
		heard, asks := l.nodes[1].peer.heard, 0
		l.drop = func(from int, d Datagram) bool {
			if from == 1 && d.Path.Link == DataPath && d.Path.Interface == "outside" &&
				l.now.Sub(heard) <= DefaultHold-20*time.Millisecond {
				asks++
			}
			return true
		}
		l.run(DefaultHold + 10*time.Millisecond)
		if asks < 3 {
			t.Errorf("cut %v later: asked %d times, want 3", offset*7*time.Millisecond, asks)
		}
	}
}

// TestSlowerPeer: a peer that sends less often than this unit is waited for longer, also
// one whose program is from before heartbeats said how often they come.
func TestSlowerPeer(t *testing.T) {
	l := newLab(t)
	l.cfg[0].Poll, l.cfg[0].Hold = 2*DefaultPoll, 6*DefaultPoll
	l.pair()
	l.data = false
	last := l.now
	l.drop = func(from int, d Datagram) bool { // one in two arrives
		if from == 0 && l.now.Sub(last) < 4*DefaultPoll {
			return true
		}
		if from == 0 {
			last = l.now
		}
		return false
	}
	l.run(2 * time.Second)
	l.want("active", "standby-ready")
	l.nodes[0] = nil
	l.run(6*DefaultPoll + 2*time.Millisecond)
	l.want("dead", "active")

	l = newLab(t)
	l.pair()
	n := l.nodes[1]
	if got := n.hold(); got != DefaultHold {
		t.Errorf("a peer that is as fast is waited for for %v", got)
	}
	n.learn(l.now, &Heartbeat{Counter: n.peer.counter + 1}, 0, &Output{})
	if got := n.hold(); got != 3*formerPoll {
		t.Errorf("a peer that does not say it is waited for for %v", got)
	}
	n.learn(l.now, &Heartbeat{Counter: n.peer.counter + 1, Poll: 1 << 60}, 0, &Output{})
	if got := n.hold(); got != 3*maxPoll {
		t.Errorf("a peer that exaggerates is waited for for %v", got)
	}
}

func TestSwitch(t *testing.T) {
	for asked := range 2 {
		t.Run(fmt.Sprint("asked on node ", asked), func(t *testing.T) {
			l := settled(t)
			var err error
			l.do(asked, func(n *Node, out *Output) { err = n.Switch(l.now, "g", "the operator switched", out) })
			if err != nil {
				t.Fatal(err)
			}
			l.run(3 * time.Millisecond)
			l.want("active", "standby-ready") // the workers finish
			if len(l.seen[0].Quiesce) != 1 {
				t.Fatalf("got %d Quiesce", len(l.seen[0].Quiesce))
			}
			l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
			l.want("active", "standby-ready")
			l.run(2 * time.Millisecond) // both serve for one message
			l.want("active", "active")
			l.run(2 * time.Millisecond)
			l.want("standby-cold", "active")
			l.run(time.Second)
			l.want("standby-cold", "active")
			l.wantNoSplitBrain()
		})
	}
}

// TestSwitchOutOfStep: the copy falls out of step in the moment in which the
// operator switches. The wish is not lost.
func TestSwitchOutOfStep(t *testing.T) {
	l := settled(t)
	l.switched(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationNone, out) })
	l.run(200 * time.Millisecond)
	l.want("active", "standby-cold")
	l.ready(1)
	l.run(100 * time.Millisecond)
	l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.run(10 * time.Millisecond)
	l.want("standby-cold", "active")
	l.ready(0)
	l.run(3 * time.Second)
	l.want("standby-ready", "active")
}

// TestSwitchSlowToFallSilent: the workers of the old active need some time to fall silent, and
// nobody takes that for a split brain; a peer that serves on for longer is told.
func TestSwitchSlowToFallSilent(t *testing.T) {
	l := settled(t)
	l.deaf = true
	l.switched(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.run(DefaultHold)
	l.want("standby-cold", "active")
	l.wantNoSplitBrain()
	l.run(2 * DefaultHold)
	l.event(1, EventSplitBrain, "this unit stays active")
	l.do(0, func(n *Node, out *Output) { n.Muted(l.now, "g", out) })
	l.run(time.Second)
	l.want("standby-cold", "active")
}

// wantNoSplitBrain fails where a node has told of one.
func (l *lab) wantNoSplitBrain() {
	l.t.Helper()
	for i := range l.seen {
		for _, e := range l.seen[i].Events {
			if e.Kind == EventSplitBrain {
				l.t.Errorf("node %d takes it for a split brain: %s", i, e.Text)
			}
		}
	}
}

// TestSwitchUnquiet: where a worker cannot be asked, or does not finish in time, nobody serves
// until the old active is silent.
func TestSwitchUnquiet(t *testing.T) {
	tests := []struct {
		name string
		how  func(l *lab)
	}{
		{"a worker that cannot be asked", func(l *lab) {
			l.do(0, func(n *Node, out *Output) { n.Unquiet(l.now, "g", out) })
		}},
		{"the time is over", func(l *lab) {
			l.run(quiesceLimit - 10*time.Millisecond)
			l.want("active", "standby-ready")
			l.run(10 * time.Millisecond)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := settled(t)
			l.deaf = true
			l.switched(0, nil)
			tt.how(l)
			l.run(20 * time.Millisecond)
			l.want("standby-cold", "standby-ready")
			l.do(0, func(n *Node, out *Output) { n.Muted(l.now, "g", out) })
			l.run(3 * time.Millisecond)
			l.want("standby-cold", "active")
		})
	}
}

// TestSwitchQuickTwin: the new active's worker is in step with its twin before
// the heartbeat arrives that says who is active. That is not forgotten.
func TestSwitchQuickTwin(t *testing.T) {
	l := settled(t)
	l.switched(0, func(n *Node, out *Output) { n.Unquiet(l.now, "g", out) })
	l.want("standby-cold", "standby-ready")
	l.do(0, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationReady, out) })
	l.run(100 * time.Millisecond)
	l.want("standby-ready", "active")
}

func TestSwitchRefused(t *testing.T) {
	l := newLab(t)
	l.cfg[1].Groups[0].Hashes = [MaxKeys][16]byte{{9}}
	l.boot(0)
	l.boot(1)
	check := func(i int, group string, want error) {
		t.Helper()
		l.do(i, func(n *Node, out *Output) {
			if err := n.Switch(l.now, group, "the operator switched", out); !errors.Is(err, want) {
				t.Errorf("node %d: got %v, want %v", i, err, want)
			}
		})
	}
	check(0, "x", ErrNoGroup)
	check(0, "g", ErrNoPeer)
	l.run(100 * time.Millisecond)
	check(0, "g", ErrConfigDiffs)
}

func TestSwitchNotTakenUp(t *testing.T) {
	l := settled(t)
	l.switched(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.nodes[1] = nil // dies at this very moment
	epoch := l.nodes[0].groups[0].epoch
	l.run(300 * time.Millisecond)
	l.want("active", "dead")
	if now := l.nodes[0].groups[0].epoch; now != epoch {
		t.Errorf("it has served all the time, and has epoch %d after %d", now, epoch)
	}
}

// TestSwitchNotHeard: the peer takes over, and is not heard: the old active goes on, and makes
// way as soon as it hears.
func TestSwitchNotHeard(t *testing.T) {
	l := settled(t)
	l.switched(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.drop = func(from int, _ Datagram) bool { return from == 1 }
	l.run(DefaultHold / 2)
	l.want("active", "active")
	l.run(2 * DefaultHold)
	l.want("active", "active")
	l.event(0, EventHandover, "ends: ")
	l.drop = nil
	l.run(200 * time.Millisecond)
	l.want("standby-cold", "active")
}

func TestPreempt(t *testing.T) {
	l := newLab(t)
	for i := range l.cfg {
		l.cfg[i].Groups[0].Preempt = true
		l.cfg[i].Groups[0].Prefer = UnitPrimary
		l.cfg[i].Groups[0].PreemptDelay = time.Second
	}
	l.boot(1)
	l.run(1500 * time.Millisecond)
	l.boot(0)
	l.run(500 * time.Millisecond)
	l.want("standby-cold", "active")
	l.ready(0)
	l.run(800 * time.Millisecond)
	l.want("standby-ready", "active") // not before the delay
	l.run(200 * time.Millisecond)
	l.do(1, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.run(10 * time.Millisecond)
	l.want("active", "standby-cold")
}

func TestConfigurationsDiffer(t *testing.T) {
	l := newLab(t)
	l.cfg[1].Groups[0].Hashes = [MaxKeys][16]byte{{9}}
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	l.ready(1)
	l.want("active", "standby-cold")
	l.event(0, EventConfigurationDiffers, "not become ready")
	l.event(1, EventConfigurationDiffers, "not become ready")
	l.do(1, func(n *Node, out *Output) {
		cfg := l.cfg[1].Groups[0]
		cfg.Hashes = [MaxKeys][16]byte{}
		if err := n.Configure(l.now, []GroupConfig{cfg}, out); err != nil {
			t.Fatal(err)
		}
	})
	l.run(100 * time.Millisecond)
	l.want("active", "standby-ready")
}

func TestRefusedPeer(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config)
		reason string
	}{
		{"newer protocol", func(c *Config) { c.Protocol = record.Versions{Oldest: 2, Newest: 3} }, "this unit "},
		{"same unit", func(c *Config) { c.Unit = UnitPrimary }, ErrUnit.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.boot(0)
			l.run(1500 * time.Millisecond)
			l.want("active", "dead")
			tt.change(&l.cfg[1])
			l.boot(1)
			l.run(3 * time.Second)
			l.want("active", "failed")
			l.event(0, EventPeerRefused, tt.reason)
			l.event(1, EventPeerRefused, tt.reason)
			// Once the other one is gone, it may serve.
			l.nodes[0] = nil
			l.run(3 * time.Second)
			l.want("dead", "active")
		})
	}
}

// TestNeighboursArePair: programs of neighbouring versions, each of which speaks
// a version of the protocol that the other does not, are a pair.
func TestNeighboursArePair(t *testing.T) {
	l := newLab(t)
	l.cfg[0].Protocol = record.Versions{Oldest: 1, Newest: 2}
	l.cfg[1].Protocol = record.Versions{Oldest: 2, Newest: 3}
	l.cfg[1].Version = "2"
	l.boot(0)
	l.boot(1)
	l.run(100 * time.Millisecond)
	l.ready(1)
	l.want("active", "standby-ready")
	l.event(0, EventPeerUp, "runs 2, this unit 1")
	l.nodes[0] = nil
	l.run(time.Second)
	l.want("dead", "active")
}

// TestNewerPeerSaysMore: what an entry has that this version does not know
// counts in the digest, so that the peer is understood as a whole.
func TestNewerPeerSaysMore(t *testing.T) {
	more := func(b []byte) []byte {
		return record.Append(b, func(f *record.Fields) { k := uint8(7); record.Number(f, 20, &k) })
	}
	var entries []Entry
	var digest Digest
	for _, e := range []Entry{
		{Kind: EntryGroup, Name: "g", Group: GroupState{Role: RoleActive}},
		{Kind: 9, Name: "g"},
	} {
		b := more(e.encoded())
		digest.xor(digestOf(b))
		var got Entry
		if err := record.Parse(b, got.fields); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, got)
	}
	table := newTable()
	table.learn(time.Unix(1, 0), &Heartbeat{Version: 3, Digest: digest, Entries: entries})
	if !table.whole || table.version != 3 || len(table.groups) != 1 || len(table.interfaces) != 0 {
		t.Errorf("got %+v", table)
	}
	table.learn(time.Unix(2, 0), &Heartbeat{Version: 4, Entries: []Entry{
		{Kind: EntryGroup, Name: "g", Gone: true}, {Kind: 9, Name: "g", Gone: true},
	}})
	if !table.whole || table.version != 4 || len(table.groups) != 0 {
		t.Errorf("after both are gone: got %+v", table)
	}
}

// TestStrangerIsNotBelieved: what has no valid code, of whatever version, keeps
// nobody from serving, and says little in the log.
func TestStrangerIsNotBelieved(t *testing.T) {
	l := newLab(t)
	l.boot(0)
	stranger := deriveKey(secret.Copy([]byte("no key of anybody")))
	forged := AppendHeartbeat(nil, &Heartbeat{Unit: UnitSecondary, Active: true, Instance: 1, Path: "one",
		Program: "1"}, stranger)
	foreign := append([]byte(nil), forged...)
	foreign[3] = 9
	for i := range 60000 {
		b := forged
		if i%2 == 0 {
			b = foreign
		}
		for _, p := range []Path{{Link: 0}, {DataPath, "outside"}} {
			l.do(0, func(n *Node, out *Output) { _ = n.Receive(l.now, p, b, out) })
		}
		l.run(time.Millisecond)
	}
	l.want("active", "dead")
	if at := l.seen[0].Changes[1].At.Sub(l.nodes[0].started); at > DefaultWait+DefaultHold {
		t.Errorf("active after %v", at)
	}
	lines := 0
	for _, e := range l.seen[0].Events {
		if e.Kind == EventPeerRefused {
			lines++
		}
	}
	if most := 2 * (refusalBurst + int(time.Minute/refusalRest)); lines > most {
		t.Errorf("%d lines in the log, want at most %d", lines, most)
	}
}

// TestRecordingIsNotReflected: a heartbeat of an earlier life makes a node send no
// more than it does anyhow.
func TestRecordingIsNotReflected(t *testing.T) {
	l := newLab(t)
	var recorded *Datagram
	l.drop = func(from int, d Datagram) bool {
		if from == 1 && recorded == nil {
			recorded = &d
		}
		return false
	}
	l.pair()
	l.nodes[1] = nil
	l.run(time.Second)
	sent := 0
	l.drop = func(int, Datagram) bool { sent++; return true }
	for range 1000 {
		l.do(0, func(n *Node, out *Output) { _ = n.Receive(l.now, recorded.Path, recorded.Payload, out) })
		l.run(time.Millisecond)
	}
	// Twice the regular ones over two links and, as they are silent, two data
	// interfaces.
	if most := 2 * 4 * int(time.Second/DefaultPoll); sent > most {
		t.Errorf("%d heartbeats were sent, want at most %d", sent, most)
	}
}

func TestSameUnitAtOnce(t *testing.T) {
	l := newLab(t)
	l.cfg[1].Unit = UnitPrimary
	l.boot(0)
	l.boot(1)
	l.run(3 * time.Second)
	a, _ := l.nodes[0].Role("g")
	b, _ := l.nodes[1].Role("g")
	if (a == RoleActive) == (b == RoleActive) {
		t.Errorf("roles %v and %v", a, b)
	}
}

func TestInterfacePolicy(t *testing.T) {
	l := newLab(t)
	for i := range l.cfg {
		l.cfg[i].Groups[0].InterfacePolicy = 2
	}
	l.pair()
	l.run(200 * time.Millisecond)
	l.do(0, func(n *Node, out *Output) { n.Interface(l.now, "outside", false, out) })
	l.run(100 * time.Millisecond)
	l.want("active", "standby-ready")
	l.do(0, func(n *Node, out *Output) { n.Interface(l.now, "inside", false, out) })
	l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.run(5 * time.Millisecond)
	l.want("failed", "active")
	l.do(0, func(n *Node, out *Output) { n.Interface(l.now, "inside", true, out) })
	l.run(500 * time.Millisecond)
	l.want("failed", "active") // good news must last
	l.run(700 * time.Millisecond)
	l.want("standby-cold", "active")
}

func TestWorkerFailed(t *testing.T) {
	l := settled(t)
	l.do(0, func(n *Node, out *Output) { n.WorkerFailed(l.now, "acme", "crashed 5 times", out) })
	if len(l.seen[0].Quiesce) != 1 {
		t.Fatalf("got %d Quiesce", len(l.seen[0].Quiesce))
	}
	l.do(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.run(5 * time.Millisecond)
	l.want("failed", "active")
	s := l.nodes[0].Status(l.now)
	if last := s.History[len(s.History)-1]; !strings.Contains(last.Reason, "crashed 5 times") {
		t.Errorf("reason: %q", last.Reason)
	}
	l.do(0, func(n *Node, out *Output) { n.WorkerRecovered(l.now, "acme", out) })
	l.run(100 * time.Millisecond)
	l.want("standby-cold", "active")
}

// TestRecorded plays every heartbeat of a first life to a second one, and again
// and reflected to the same one: nothing changes.
func TestRecorded(t *testing.T) {
	l := newLab(t)
	var recorded []Datagram
	l.drop = func(from int, d Datagram) bool {
		recorded = append(recorded, d)
		return false
	}
	l.pair()
	l.nodes[0] = nil
	l.run(time.Second)
	l.boot(0)
	l.run(200 * time.Millisecond)
	l.drop = nil
	l.want("standby-cold", "active")
	for i := range l.nodes {
		before := l.nodes[i].Status(l.now)
		for _, d := range recorded {
			l.do(i, func(n *Node, out *Output) { _ = n.Receive(l.now, d.Path, d.Payload, out) })
		}
		if diff := cmp.Diff(before, l.nodes[i].Status(l.now)); diff != "" {
			t.Errorf("node %d (-before +after):\n%s", i, diff)
		}
	}
	l.run(time.Second)
	l.want("standby-cold", "active")
}

// TestStoppedNode: a standby that stood still does not take over when it goes on.
func TestStoppedNode(t *testing.T) {
	l := newLab(t)
	l.pair()
	stopped := l.nodes[1]
	l.nodes[1] = nil
	l.run(5 * time.Second)
	l.nodes[1] = stopped
	l.run(time.Second)
	l.want("active", "standby-ready")
}

// TestStoppedActive: an active that stood still gives in at once.
func TestStoppedActive(t *testing.T) {
	l := newLab(t)
	l.pair()
	stopped := l.nodes[0]
	l.nodes[0] = nil
	l.run(time.Second)
	l.nodes[0] = stopped
	l.run(60 * time.Millisecond)
	l.want("standby-cold", "active")
}

// TestAdopted: a supervisor that comes back finds its workers serving.
func TestAdopted(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.cfg[0].Groups[0].Active, l.cfg[0].Groups[0].Adopted = true, 1
	l.boot(0)
	l.run(time.Second)
	l.want("active", "standby-ready")
	if _, epoch := l.nodes[0].Role("g"); epoch != 1 {
		t.Errorf("epoch is %d", epoch)
	}
}

// TestAdoptedStandby: a standby whose supervisor was replaced stays in step. The epoch that
// was written down ahead was not used, and the active one keeps its own.
func TestAdoptedStandby(t *testing.T) {
	l := newLab(t)
	l.pair()
	g := &l.cfg[1].Groups[0]
	g.Adopted, g.Known = 1, true
	l.boot(1)
	l.do(1, func(n *Node, out *Output) {
		n.Copy(l.now, "acme", true, out)
		n.Replication(l.now, "acme", ReplicationReady, out)
	})
	l.run(200 * time.Millisecond)
	l.want("active", "standby-ready")
	if _, epoch := l.nodes[0].Role("g"); epoch != 1 || l.disk[1] != 2 {
		t.Errorf("epoch is %d, %d was written ahead", epoch, l.disk[1])
	}
}

// TestOrphan: while the workers of a silent peer are known to serve, nobody takes over, for
// a bounded time; where that is not known of every context it is as always.
func TestOrphan(t *testing.T) {
	tests := []struct {
		name    string
		serves  bool
		and     func(l *lab)
		after   time.Duration
		standby bool
	}{
		{"they serve", true, nil, DefaultAdoption - time.Second, true},
		{"too long", true, nil, DefaultAdoption + time.Second, false},
		{"they do not", false, nil, 200 * time.Millisecond, false},
		{"they die", true, func(l *lab) {
			l.do(1, func(n *Node, out *Output) { n.Orphan(l.now, "acme", false, out) })
		}, 0, false},
		{"another supervisor", true, func(l *lab) {
			l.cfg[0].Groups[0].Active, l.cfg[0].Groups[0].Adopted = true, 1
			l.boot(0)
		}, time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.pair()
			l.do(1, func(n *Node, out *Output) { n.Orphan(l.now, "acme", tt.serves, out) })
			l.nodes[0] = nil
			if tt.and != nil {
				l.run(time.Second)
				tt.and(l)
			}
			l.run(tt.after)
			if role, _ := l.nodes[1].Role("g"); (role == RoleStandbyReady) != tt.standby ||
				!tt.standby && role != RoleActive {
				t.Errorf("the standby is %v", role)
			}
		})
	}
}

// TestResumes: workers that have fallen silent between two supervisors have what a standby out
// of step has not. It waits for them, and they serve again.
func TestResumes(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.nodes[0] = nil
	l.run(20 * time.Millisecond)
	l.do(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationNone, out) })
	l.cfg[0].Groups[0].Adopted, l.cfg[0].Groups[0].Known = 1, true
	l.boot(0)
	l.do(0, func(n *Node, out *Output) { n.Copy(l.now, "acme", true, out) })
	l.run(300 * time.Millisecond)
	l.want("active", "standby-cold")
}

// TestEpochsAreUsedOnce: an activation that was forgotten is not repeated.
func TestEpochsAreUsedOnce(t *testing.T) {
	l := newLab(t)
	used := map[uint64]bool{}
	for range 5 {
		l.boot(0)
		l.run(2 * time.Second)
		_, epoch := l.nodes[0].Role("g")
		if used[epoch] {
			t.Errorf("epoch %d is used twice", epoch)
		}
		used[epoch] = true
		l.nodes[0] = nil
	}
}

// TestExpireAtAnyTime: early and repeated calls do nothing.
func TestExpireAtAnyTime(t *testing.T) {
	l := newLab(t)
	l.pair()
	for i := range l.nodes {
		var out Output
		for range 10 {
			l.nodes[i].Expire(l.now, &out)
			out = Output{}
			l.nodes[i].Expire(l.now, &out)
		}
		if diff := cmp.Diff(Output{}, out); diff != "" {
			t.Errorf("node %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	l := newLab(t)
	l.pair()
	for range 2 * HistoryLength {
		l.do(1, func(n *Node, out *Output) { n.Replication(l.now, "acme", ReplicationNone, out) })
		l.ready(1)
	}
	if got := len(l.nodes[1].Status(l.now).History); got != HistoryLength {
		t.Errorf("history has %d entries", got)
	}
}

func TestConfigRefused(t *testing.T) {
	tests := map[string]func(c *Config){
		"unit":  func(c *Config) { c.Unit = UnitNone },
		"key":   func(c *Config) { c.Keys[0] = secret.Value{} },
		"keys":  func(c *Config) { c.Keys = nil },
		"poll":  func(c *Config) { c.Poll = 5 * time.Millisecond },
		"hold":  func(c *Config) { c.Hold = 100 * time.Millisecond },
		"links": func(c *Config) { c.Links = nil },
		"rand":  func(c *Config) { c.Rand = nil },
		"twice": func(c *Config) { c.Groups = append(c.Groups, c.Groups[0]) },
	}
	for name, change := range tests {
		cfg := newLab(t).cfg[0]
		change(&cfg)
		if _, err := New(time.Unix(0, 0), cfg, &Output{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPeerHearsOfSilenceAlone: a worker that hangs does not fall silent at once.
// Until it has, the peer hears that the group is active, and does not take over;
// time that passes meanwhile does not bring the role back.
func TestPeerHearsOfSilenceAlone(t *testing.T) {
	l := settled(t)
	l.deaf = true
	l.do(0, func(n *Node, out *Output) {
		n.WorkerFailed(l.now, "acme", "it does not answer", out)
		n.Quiesced(l.now, "g", out)
	})
	l.run(2 * DefaultHold)
	l.want("standby-cold", "standby-ready")
	if s, _ := l.nodes[1].Group(l.now, "g"); s.PeerRole != "active" {
		t.Errorf("the peer is told %q", s.PeerRole)
	}
	l.do(0, func(n *Node, out *Output) { n.Muted(l.now, "g", out) })
	l.run(3 * time.Millisecond)
	l.want("failed", "active")
	l.do(0, func(n *Node, out *Output) { n.Muted(l.now, "g", out) }) // once more: nothing
	l.run(time.Second)
	l.want("failed", "active")
}

// TestSplitBrainUntilMuted: a node that makes way in a split brain, and whose worker
// is not silent yet, does not make the winner give in as well.
func TestSplitBrainUntilMuted(t *testing.T) {
	l := newLab(t)
	l.pair()
	l.cut, l.data = [2]bool{true, true}, false
	l.run(300 * time.Millisecond)
	l.want("active", "active")
	l.deaf, l.cut = true, [2]bool{}
	l.run(time.Second)
	l.want("standby-cold", "active")
	l.do(0, func(n *Node, out *Output) { n.Muted(l.now, "g", out) })
	l.run(100 * time.Millisecond)
	l.want("standby-cold", "active")
}

// TestDeadlineOfLateNode: a node that wakes up late, in the middle of a hand-over,
// does nothing for a poll, and does not want to be woken before.
func TestDeadlineOfLateNode(t *testing.T) {
	l := settled(t)
	l.switched(0, func(n *Node, out *Output) { n.Quiesced(l.now, "g", out) })
	l.drop = func(int, Datagram) bool { return true }
	l.wire = nil
	l.now = l.now.Add(2 * DefaultHold)
	l.do(0, func(n *Node, out *Output) { n.Expire(l.now, out) })
	if got := l.nodes[0].Deadline().Sub(l.now); got <= 0 {
		t.Errorf("the next deadline is %v ago", -got)
	}
}

// TestPeerRestartsInHandover: of a peer that has just restarted nothing is known, and
// the hand-over to it ends.
func TestPeerRestartsInHandover(t *testing.T) {
	l := settled(t)
	l.switched(0, nil)
	l.boot(1)
	l.run(time.Second)
	l.want("active", "standby-cold")
}

// TestWinnerAnnouncesLast: the loser of a split brain, which announces the addresses
// when it hears the winner, may give in before the winner has heard what it was.
func TestWinnerAnnouncesLast(t *testing.T) {
	l := newLab(t)
	l.pair()
	for _, returned := range []bool{false, true, false} {
		if returned { // what it was there is not heard: it follows
			l.nodes[0].peer.since = l.now
		}
		before := len(l.seen[0].Announce)
		l.run(DefaultPoll)
		if got := len(l.seen[0].Announce) - before; (got == 1) != returned {
			t.Errorf("returned %v: the addresses were announced %d times", returned, got)
		}
	}
}

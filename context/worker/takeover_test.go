package worker

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/failover/link/linktest"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// life is what a client and the pair do while a node is killed: everything that
// makes records.
var life = []struct {
	what string
	do   func(p *pair, alice *host)
}{
	{"traffic", func(p *pair, alice *host) {
		if len(alice.established()) == 1 && len(alice.established()[0].ChildSAs) > 0 && alice.name != "" {
			ping(alice, p.active(), alice.established()[0].Assigned[0].String())
		}
	}},
	{"child rekeyed by the client", func(_ *pair, alice *host) { alice.rekeyChild() }},
	{"IKE rekeyed by the client", func(_ *pair, alice *host) { alice.rekeyIKE() }},
	{"child rekeyed by the gateway", func(p *pair, _ *host) { p.gateway().rekeyChild() }},
	{"IKE rekeyed by the gateway", func(p *pair, _ *host) { p.gateway().rekeyIKE() }},
	{"the client moves", func(_ *pair, alice *host) {
		for _, c := range alice.conns {
			c.Alias(netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), c.Addr.Port()+1000))
		}
	}},
	{"traffic after the move", func(p *pair, alice *host) {
		if up := alice.established(); len(up) > 0 && len(up[0].Assigned) > 0 {
			ping(alice, p.active(), up[0].Assigned[0].String())
		}
	}},
}

// gateway returns the node that serves: node 0, unless it is dead.
func (p *pair) gateway() *host { return p.nodes[p.owner] }

// live plays life on a pair whose node 0 dies before step killAt, and returns
// the number of steps. check looks at what is left.
func live(t *testing.T, killAt int, check func(p *pair, alice *host)) (steps int) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		p.steps, p.killAt = 0, killAt
		survive := func() {
			if p.mu.Lock(); !p.dead[0] || p.owner == 1 {
				p.mu.Unlock()
				return
			}
			p.mu.Unlock()
			p.kill(0)
			time.Sleep(150 * time.Millisecond)
			p.serve(1)
		}
		alice := newHost(t, p.net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		alice.start()
		for range 20 {
			time.Sleep(50 * time.Millisecond)
			survive()
		}
		for _, l := range life {
			l.do(p, alice)
			time.Sleep(500 * time.Millisecond)
			survive()
		}
		p.mu.Lock()
		steps = p.steps
		p.mu.Unlock()
		for range 360 {
			time.Sleep(500 * time.Millisecond)
			survive()
		}
		check(p, alice)
		alice.stop()
		p.stop()
	})
	return steps
}

// TestKillBeforeEveryStep kills the active node before each datagram and each
// write to its twin in turn: before the record is sent, after it, after the
// acknowledgement, after the answer. The standby goes on; the client never
// begins anew, whatever it was waiting for, and no nonce is used twice.
func TestKillBeforeEveryStep(t *testing.T) {
	last := live(t, 0, func(p *pair, alice *host) {
		p.mustPing(alice, "in an undisturbed life")
		if len(p.inits) != 1 {
			t.Fatalf("%d IKE_SA_INIT in an undisturbed life", len(p.inits))
		}
	})
	if last < 40 {
		t.Fatalf("a life has %d steps", last)
	}
	t.Logf("%d steps", last)
	for at := 1; at <= min(last, 400); at += sparse {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			live(t, at, func(p *pair, alice *host) {
				p.mustPing(alice, "in the end")
				if len(p.inits) != 1 {
					t.Errorf("%d IKE_SA_INIT", len(p.inits))
				}
				for _, s := range alice.established() {
					for _, c := range s.ChildSAs {
						if c.ReplayDropped != 0 {
							t.Errorf("%d replay drops at the client", c.ReplayDropped)
						}
					}
				}
			})
		})
	}
}

// TestWorkersRestart replaces the worker of either node in place, under traffic
// and in step: the journal goes on, and so does the stream.
func TestWorkersRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		restart := func(i int) {
			h := p.nodes[i]
			h.stop()
			h.failover.Activation = control.Activation{Active: i == p.owner, Epoch: p.epoch}
			h.start()
			p.take(p.owner)
			p.join()
			p.awaitStep(p.owner)
		}
		stream := p.nodes[0].facts().Replication.Stream
		for i, victim := range []int{0, 1, 1, 0, 0} {
			restart(victim)
			p.mustPing(alice, fmt.Sprint("after restart ", i))
			alice.rekeyChild()
			time.Sleep(time.Second)
			p.mustPing(alice, fmt.Sprint("after a rekeying after restart ", i))
		}
		for i, h := range p.nodes {
			if got := h.facts().Replication.Stream; got != stream {
				t.Errorf("node %d: stream %s, was %s", i, got, stream)
			}
		}
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after a takeover")
		restart1 := p.nodes[1]
		restart1.stop()
		restart1.failover.Activation = control.Activation{Active: true, Epoch: p.epoch}
		restart1.start()
		synctest.Wait() // until it serves
		p.mustPing(alice, "after the survivor's worker was replaced")
		alice.rekeyIKE()
		time.Sleep(time.Second)
		p.mustPing(alice, "after it was rekeyed")
		if len(p.inits) != 1 {
			t.Errorf("%d IKE_SA_INIT", len(p.inits))
		}
		alice.stop()
		p.stop()
	})
}

// TestHungStandby: a twin that keeps the session up and acknowledges nothing
// holds no answer for longer than twice link.DefaultIdle.
func TestHungStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		hangs, hang := make(chan struct{}), make(chan struct{})
		go p.nodes[1].worker.do(context.Background(), func(time.Time) error { close(hangs); <-hang; return nil })
		<-hangs
		begin := time.Now()
		alice := newHost(t, p.net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		alice.start()
		for len(alice.established()) == 0 && time.Since(begin) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begin); took < link.DefaultIdle/2 || took > 2*link.DefaultIdle+100*time.Millisecond {
			t.Errorf("the set-up took %v", took)
		}
		if got := p.nodes[0].facts().Replication; got.State != failover.ReplicationNone || got.Reason == "" {
			t.Errorf("replication: %+v", got)
		}
		close(hang)
		p.join()
		p.awaitStep(0)
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the standby has come to")
		alice.stop()
		p.stop()
	})
}

// TestJournalFull: an entry that does not fit is lost to the journal and to the
// twin; the stream gets another name, so that nobody resumes over the hole.
func TestJournalFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDeadPair(t, testGateway)
		p.nodes[0].journal = replica.Memory{Bytes: make([]byte, 8<<10)}
		for _, h := range p.nodes {
			h.start()
		}
		p.serve(0)
		p.join()
		p.awaitStep(0)
		stream := p.nodes[0].facts().Replication.Stream
		var clients []*host
		for i := range 5 {
			addr := fmt.Sprint("198.51.100.", 2+i)
			c := newHost(t, p.net, clientTenant(addr, fmt.Sprint("c", i, "@example")), addr)
			c.start()
			clients = append(clients, c)
			time.Sleep(2 * time.Second)
		}
		up, refused := 0, 0
		for _, c := range clients {
			if s := c.established(); len(s) == 1 && len(s[0].ChildSAs) == 1 {
				up++
				if !ping(c, p.nodes[0], c.assigned()) {
					t.Error("a client that is up has no traffic")
				}
			} else {
				refused++
			}
		}
		if up == 0 || refused == 0 || !p.nodes[0].logs.contains("the memory of the journal is used up") {
			t.Errorf("%d clients are up, %d refused", up, refused)
		}
		lost := p.nodes[0].logs.contains("journal cannot be written")
		if r := p.nodes[0].facts().Replication; lost && (r.Stream == stream || r.State != failover.ReplicationNone) {
			t.Errorf("after a lost entry: %+v", r)
		}
		t.Logf("%d up, %d refused, entry lost: %v", up, refused, lost)
		p.join()
		p.awaitStep(0)
		if got := len(p.nodes[1].established()); got != up {
			t.Errorf("the standby has %d of %d", got, up)
		}
		for _, c := range clients {
			c.stop()
		}
		p.stop()
	})
}

// TestLostEntry: what the journal cannot hold does not reach the twin either,
// and a restart of the worker on either side never mixes the two histories.
func TestLostEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		before := p.nodes[0].facts().Replication
		p.nodes[0].in(func(_ time.Time, w *Worker) {
			w.replica.Returned(netip.MustParseAddr("10.99.0.10"), strings.Repeat("x", journal.MaxRecord))
		})
		lost := p.nodes[0].facts().Replication
		if lost.Stream == before.Stream || lost.State != failover.ReplicationNone || lost.Last != before.Last {
			t.Errorf("after a lost entry: %+v, before %+v", lost, before)
		}
		p.mustPing(alice, "without a twin")
		p.join()
		p.awaitStep(0)
		alice.rekeyChild()
		time.Sleep(time.Second)
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		if len(p.inits) != 1 {
			t.Errorf("%d IKE_SA_INIT", len(p.inits))
		}
		alice.stop()
		p.stop()
	})
}

// TestNoCounters: a child SA without a counter slot is ended, and takes nothing
// from the others.
func TestNoCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDeadPair(t, testGateway)
		for _, h := range p.nodes {
			h.counters = replica.Memory{Bytes: make([]byte, esp.CountersSize(1))}
			h.start()
		}
		p.serve(0)
		p.join()
		p.awaitStep(0)
		alice := p.newClient(2, "alice@example")
		bob := newHost(t, p.net, clientTenant("198.51.100.3", "bob@example"), "198.51.100.3")
		bob.start()
		time.Sleep(time.Second)
		if !p.nodes[0].logs.contains("no counters for a child SA") {
			t.Error("the log says nothing")
		}
		for _, s := range bob.established() {
			if len(s.ChildSAs) > 0 {
				t.Errorf("bob has %+v", s)
			}
		}
		p.awaitStep(0)
		p.mustPing(alice, "beside one without counters")
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		bob.stop()
		alice.stop()
		p.stop()
	})
}

// TestIdleTimeoutAfterTakeover: the survivor does not take a session for idle
// because it has not seen its traffic.
func TestIdleTimeoutAfterTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func() *spec.Tenant {
			tenant := testGateway()
			tenant.GroupPolicies[0].IdleTimeout = 10 * time.Minute
			return tenant
		})
		alice := p.newClient(2, "alice@example")
		for range 20 {
			time.Sleep(time.Minute)
			p.mustPing(alice, "while it is busy")
		}
		p.kill(0)
		p.serve(1)
		time.Sleep(time.Minute)
		p.mustPing(alice, "a minute after the takeover")
		time.Sleep(12 * time.Minute)
		if len(p.nodes[1].established()) > 0 &&
			p.nodes[1].established()[0].Established.Before(time.Now().Add(-5*time.Minute)) {
			t.Error("an idle session stays for ever")
		}
		alice.stop()
		p.stop()
	})
}

// halfASnapshot carries the messages between the twins by hand, and stops within the
// snapshot. It returns the ends of the sessions with node 0 and node 1.
func (p *pair) halfASnapshot() (active, standby *link.Session) {
	p.t.Helper()
	var sessions [2]*link.Session
	for i, unit := range []failover.Unit{failover.UnitSecondary, failover.UnitPrimary} {
		c, done := linktest.NewCable(nil), make(chan struct{})
		go func() {
			defer close(done)
			s, err := link.NewSession(context.Background(), c.Ends[0],
				link.SessionConfig{Key: secret.Copy([]byte("the key of the twins")), Unit: unit})
			if err != nil {
				p.t.Error(err)
			}
			sessions[i] = s
		}()
		if err := p.nodes[i].worker.Link(context.Background(), c.Ends[1], twinKey); err != nil {
			p.t.Fatal(err)
		}
		<-done
	}
	active, standby = sessions[0], sessions[1]
	active.Send(<-standby.Received()) // what the standby has
	for range 4 {
		standby.Send(<-active.Received())
	}
	time.Sleep(100 * time.Millisecond)
	if got := p.nodes[1].replication(); got != "bulk" {
		p.t.Errorf("replication: %s", got)
	}
	return active, standby
}

// TestHalfASnapshot: a node whose copy is on its way serves what it had before,
// and uses no number twice.
func TestHalfASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		p.kill(1)
		time.Sleep(time.Second)
		bob := p.newClient(3, "bob@example")
		p.mustPing(bob, "with one node")
		p.revive(1)
		active, s := p.halfASnapshot()
		s.Close()
		active.Close()
		if got := len(p.nodes[1].established()); got != 0 {
			t.Errorf("%d SAs of half a snapshot", got)
		}
		p.join()
		p.awaitStep(0)
		if got := len(p.nodes[1].established()); got != 2 {
			t.Errorf("%d SAs of a whole snapshot, want 2", got)
		}
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		p.mustPing(bob, "after the takeover")
		bob.stop()
		alice.stop()
		p.stop()
	})
}

// TestReconfiguredWithinSnapshot: a copy that was begun with another configuration is
// begun anew.
func TestReconfiguredWithinSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		p.kill(1)
		p.revive(1)
		active, s := p.halfASnapshot()
		if err := p.nodes[1].worker.Reconfigure(t.Context(), gatewayTenant(4), false); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		s.Close()
		active.Close()
		p.join()
		p.awaitStep(0)
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		alice.stop()
		p.stop()
	})
}

// TestStaleCopy: a node that serves with an old copy skips what the other one
// may have used meanwhile.
func TestStaleCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		for i := range 4 { // no session from here on: both copies grow old
			if i == 0 {
				p.cut()
			}
			p.mustPing(alice, "with the active of the moment")
			p.follow(p.owner)
			p.serve(1 - p.owner)
			p.mustPing(alice, "with an old copy")
		}
		alice.stop()
		p.stop()
	})
}

// TestWipe: what a worker held is no more when it becomes the standby.
func TestWipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		var keys []secret.Value
		p.nodes[0].in(func(_ time.Time, w *Worker) {
			w.engine.Snapshot(func(r exchange.Record) bool {
				if r.Child != nil {
					keys = append(keys, r.Child.Child.In.EncryptionKey, r.Child.Child.Out.EncryptionKey)
				}
				return true
			})
		})
		p.follow(0)
		if len(keys) != 2 {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			if k.Len() != 0 {
				t.Error("a key of the old engine is still there")
			}
		}
		p.serve(1)
		p.mustPing(alice, "after the change")
		alice.stop()
		p.stop()
	})
}

// TestDeleteIsCarried: what the peer has ended does not come back.
func TestDeleteIsCarried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func() *spec.Tenant { return gatewayTenant(1) })
		alice := p.newClient(2, "alice@example")
		if _, err := alice.worker.Order(context.Background(), control.Logoff{All: true}, logoff); err != nil {
			t.Fatal(err)
		}
		alice.stop()
		time.Sleep(time.Second)
		for i, h := range p.nodes {
			if got := h.established(); len(got) != 0 {
				t.Errorf("node %d still has %+v", i, got)
			}
		}
		p.kill(0)
		p.serve(1)
		bob := p.newClient(3, "bob@example")
		if got := bob.assigned(); got != "10.99.0.10" {
			t.Errorf("bob got %s: alice's address was not given back", got)
		}
		bob.stop()
		p.stop()
	})
}

// TestNoRekeyingStorm takes over many SAs that come due within minutes: their
// rekeyings stay apart.
func TestNoRekeyingStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 24 / min(sparse, 2)
		p := newPair(t, func() *spec.Tenant {
			tenant := gatewayTenant(clients)
			tenant.CryptoMaps[0].Entries[0].Proposals[0].Lifetime = time.Hour
			return tenant
		})
		var all []*host
		for i := range clients {
			addr := fmt.Sprint("198.51.100.", 10+i)
			tenant := clientTenant(addr, fmt.Sprint("c", i, "@example"))
			tenant.CryptoMaps[0].Entries[0].Proposals[0].Lifetime = 24 * time.Hour // the gateway rekeys
			c := newHost(t, p.net, tenant, addr)
			c.start()
			all = append(all, c)
		}
		time.Sleep(53 * time.Minute) // they are rekeyed from 54 to 57
		p.kill(0)
		rekeyed := map[int64]int{}
		p.mu.Lock()
		p.fault = func(d esptest.Datagram) []esptest.Datagram {
			if d.Sender != nil && d.Sender.Addr.Addr().String() == gatewayAddr && len(d.Data) > 24 &&
				d.Data[22] == 36 && d.Data[23]&0x20 == 0 {
				rekeyed[time.Now().Unix()]++
			}
			return []esptest.Datagram{d}
		}
		p.mu.Unlock()
		p.serve(1)
		time.Sleep(8 * time.Minute)
		total, most := 0, 0
		for _, n := range rekeyed {
			total += n
			most = max(most, n)
		}
		at := slices.Sorted(maps.Keys(rekeyed))
		if total != clients || most > 4 || at[len(at)-1]-at[0] < 60 {
			t.Errorf("%d rekeyings within %d s, up to %d in one", total, at[len(at)-1]-at[0], most)
		}
		for _, c := range all {
			p.mustPing(c, "in the end")
			c.stop()
		}
		p.stop()
	})
}

// TestSessionIsCarried: after rekeyings a session still knows when it began and
// all its bytes, on whatever node, and after a restart.
func TestSessionIsCarried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		for range 3 {
			p.mustPing(alice, "before")
			alice.rekeyChild()
			alice.rekeyIKE()
			time.Sleep(time.Minute)
		}
		p.gateway().rekeyIKE() // it is the initiator from now on, and has not dialled
		time.Sleep(time.Minute)
		p.mustPing(alice, "before the takeover")
		time.Sleep(2 * time.Second)
		want := p.nodes[0].facts().Sessions[0]
		if want.BytesIn == 0 || want.Duration < 240 {
			t.Fatalf("the session before: %+v", want)
		}
		same := func(when string) {
			t.Helper()
			all := p.active().facts().Sessions
			if len(all) != 1 {
				t.Fatalf("%s: %d sessions", when, len(all))
			}
			if got := all[0]; got.BytesIn != want.BytesIn || got.BytesOut != want.BytesOut ||
				got.LoginTime.Sub(want.LoginTime).Abs() > time.Second {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
		p.kill(0)
		p.serve(1)
		same("after a takeover")
		h := p.nodes[1]
		h.stop()
		h.failover.Activation = control.Activation{Active: true, Epoch: p.epoch}
		h.start()
		same("after a new worker")
		p.revive(0)
		p.join()
		p.awaitStep(1)
		p.kill(1)
		p.serve(0)
		same("after a snapshot")
		alice.stop()
		p.stop()
	})
}

// TestBytesOfTheSameStep: a child SA that ends in the step in which its IKE SA is rekeyed
// counts for its session.
func TestBytesOfTheSameStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		client := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		gateway.start()
		client.start()
		time.Sleep(time.Second)
		if !ping(client, gateway, client.assigned()) {
			t.Fatal("no traffic through a new tunnel")
		}
		gateway.in(func(_ time.Time, w *Worker) {
			s := w.engine.Status()[0]
			facts := w.replica.Facts(s.Children[0].ID)
			if facts.BytesIn == 0 || facts.BytesOut == 0 {
				t.Fatalf("the child SA has carried %+v", facts)
			}
			old, spi := s.Peer.SPI, s.Peer.SPI+1
			w.Rekeyed(old, spi)
			gone := s.Children[0]
			gone.Owner = spi
			if err := w.Install(&sa.Change{Op: sa.OpDelete, Child: gone}); err != nil {
				t.Error(err)
			}
			x := w.sessions.Lookup(handleOf(spi))
			if x == nil || x.BytesIn != facts.BytesIn || x.BytesOut != facts.BytesOut {
				t.Errorf("the session has %+v, want the bytes of %+v", x, facts)
			}
			if a, ok := w.replica.Account(spi); !ok || a.BytesIn != facts.BytesIn {
				t.Errorf("the journal has %+v, %v", a, ok)
			}
			w.Rekeyed(spi, old) // as it was for the rest of the worker
		})
		client.stop()
		gateway.stop()
	})
}

// TestMovedPeerIsCarried: traffic of the node that takes over goes to where the peer was
// last, also where it has learnt of the move from a snapshot.
func TestMovedPeerIsCarried(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, testGateway)
			alice := newHost(t, p.net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
			move := func(to string) netip.Addr {
				for _, c := range alice.conns {
					c.Alias(netip.AddrPortFrom(netip.MustParseAddr(to), c.Addr.Port()+1000))
				}
				return netip.MustParseAddr(to)
			}
			move("203.0.113.7")
			alice.start()
			time.Sleep(time.Second)
			p.mustPing(alice, "before the move")
			p.awaitStep(0)
			if snapshot {
				p.cut()
			}
			at := move("203.0.113.9")
			ping(alice, p.active(), alice.assigned())
			for !strings.HasPrefix(p.nodes[0].established()[0].Remote, at.String()) {
				time.Sleep(100 * time.Millisecond)
			}
			if snapshot {
				p.serve(0) // another epoch: another stream
				p.join()
			}
			p.awaitStep(0)
			p.kill(0)
			p.serve(1)
			p.mu.Lock()
			p.fault = func(d esptest.Datagram) []esptest.Datagram {
				if to := d.To.Addr(); to != netip.MustParseAddr(gatewayAddr) && to != at {
					t.Errorf("snapshot %v: a datagram to %v, where the peer was before", snapshot, d.To)
				}
				return []esptest.Datagram{d}
			}
			p.mu.Unlock()
			p.mustPing(alice, "after the takeover")
			alice.stop()
			p.stop()
		})
	}
}

// TestTakeoverIPv6 is a takeover of a client that is reached over IPv6.
func TestTakeoverIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gateway, client = "2001:db8::1", "2001:db8::2"
		p := newDeadPair(t, func() *spec.Tenant {
			tenant := testGateway()
			tenant.Interfaces[0].Addresses = []netip.Prefix{netip.MustParsePrefix(gateway + "/64")}
			return tenant
		})
		for _, h := range p.nodes {
			h.addr = gateway
			h.start()
		}
		p.serve(0)
		p.join()
		p.awaitStep(0)
		tenant := clientTenant(client, "alice@example")
		tenant.CryptoMaps[0].Entries[0].Peer = netip.MustParseAddr(gateway)
		alice := newHost(t, p.net, tenant, client)
		alice.start()
		time.Sleep(time.Second)
		p.mustPing(alice, "before the takeover")
		p.nodes[0].stop()
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		alice.rekeyIKE()
		time.Sleep(time.Second)
		p.mustPing(alice, "after a rekeying")
		if len(p.inits) != 1 {
			t.Errorf("%d IKE_SA_INIT", len(p.inits))
		}
		alice.stop()
		p.stop()
	})
}

// TestNewEpochWhileAsking: a worker that serves gets another epoch while the
// supervisor has not yet said whether a session may begin. The client is
// answered, with its first attempt.
func TestNewEpochWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		p.nodes[0].in(func(_ time.Time, w *Worker) {
			w.supervisor.ration = func(ctx context.Context, c control.Claim) (control.Grant, error) {
				time.Sleep(200 * time.Millisecond)
				return enough(ctx, c)
			}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(100 * time.Millisecond)
			p.serve(0)
		}()
		alice := p.newClient(2, "alice@example")
		<-done
		if len(p.inits) != 1 {
			t.Errorf("%d IKE_SA_INIT, want 1", len(p.inits))
		}
		p.mustPing(alice, "with the new epoch")
		if got := p.nodes[0].facts().Sessions; len(got) != 1 {
			t.Errorf("%d sessions, want 1", len(got))
		}
		alice.stop()
		p.stop()
	})
}

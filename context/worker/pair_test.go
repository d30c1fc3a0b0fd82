package worker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/failover/link/linktest"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// pair is two twins with the same addresses, and the network around them. What
// the supervisors would do is done by the test.
type pair struct {
	t     *testing.T
	net   *esptest.Net
	nodes [2]*host
	epoch uint64
	owner int // the node that has the addresses
	cable *linktest.Cable

	mu     sync.Mutex // guards what follows
	steps  int        // datagrams of the nodes, and writes on the cable
	killAt int        // the step before which node 0 dies; 0: never
	dead   [2]bool    // nothing of a node leaves any more
	inits  map[uint64]bool
	used   map[string][32]byte
	fault  func(d esptest.Datagram) []esptest.Datagram
}

// newPair starts two twins, in step: node 0 is active, with epoch 1.
func newPair(t *testing.T, tenant func() *spec.Tenant) *pair {
	p := newDeadPair(t, tenant)
	for _, h := range p.nodes {
		h.start()
	}
	p.serve(0)
	p.join()
	p.awaitStep(0)
	return p
}

// twinKey is the key of the two workers of a tenant.
var twinKey = secret.Copy([]byte("the key of the twins"))

func newDeadPair(t *testing.T, tenant func() *spec.Tenant) *pair {
	p := &pair{t: t, net: esptest.NewNet(), inits: map[uint64]bool{}, used: map[string][32]byte{}}
	p.net.Fault = p.carry
	for i, unit := range []failover.Unit{failover.UnitPrimary, failover.UnitSecondary} {
		h := newHost(t, p.net, tenant(), gatewayAddr)
		h.name = fmt.Sprint("node", i)
		h.failover = &control.Failover{Unit: unit}
		p.nodes[i] = h
	}
	return p
}

// step counts one step of node i and reports whether the node is alive.
func (p *pair) step(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead[i] {
		if p.steps++; p.steps == p.killAt {
			p.dead[0] = true
		}
	}
	return !p.dead[i]
}

// carry is the network's fault: dead nodes send nothing, and every nonce that
// is on the wire is noted.
func (p *pair) carry(d esptest.Datagram) []esptest.Datagram {
	from := -1
	p.mu.Lock()
	nodes := p.nodes
	p.mu.Unlock()
	for i, h := range nodes {
		if h.sends(d.Sender) {
			from = i
		}
	}
	if from >= 0 && !p.step(from) {
		return nil
	}
	p.note(d)
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	if fault != nil {
		return fault(d)
	}
	return []esptest.Datagram{d}
}

// note writes the nonce of a datagram down: (SPI, sequence number) of ESP, and
// (SPIs, direction, IV) of IKE, which a repeat may share if it is the same.
func (p *pair) note(d esptest.Datagram) {
	b, key := d.Data, ""
	switch {
	case len(b) < 20:
		return
	case d.To.Port() == 500 || d.From.Port() == 500 || binary.BigEndian.Uint32(b) == 0:
		if binary.BigEndian.Uint32(b) == 0 && d.To.Port() != 500 && d.From.Port() != 500 {
			b = b[4:]
		}
		if b[18] == 34 {
			if b[19]&0x20 == 0 {
				p.inits[binary.BigEndian.Uint64(b)] = true
			}
			return
		}
		key = fmt.Sprintf("ike %x %x %x", b[:16], b[19]&8, b[32:40])
	default:
		key = fmt.Sprintf("esp %x %x", b[:4], b[8:16])
	}
	sum := sha256.Sum256(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, again := p.used[key]; again && (old != sum || key[0] == 'e') {
		p.t.Errorf("nonce used twice: %s", key)
	}
	p.used[key] = sum
}

// serve makes node i active with the next epoch that is its own, and gives it
// the addresses.
func (p *pair) serve(i int) {
	p.t.Helper()
	for p.epoch++; p.epoch%2 != uint64(1-i); p.epoch++ {
	}
	activation := control.Activation{Active: true, Epoch: p.epoch}
	if err := p.nodes[i].worker.SetRole(context.Background(), activation); err != nil {
		p.t.Fatalf("node %d: %v", i, err)
	}
	p.nodes[i].in(func(time.Time, *Worker) {}) // until all is done
	p.take(i)
}

func (p *pair) take(i int) {
	p.owner = i
	for _, c := range p.nodes[i].conns {
		p.net.Own(c)
	}
}

// follow makes node i standby.
func (p *pair) follow(i int) {
	p.t.Helper()
	if err := p.nodes[i].worker.SetRole(context.Background(), control.Activation{Epoch: p.epoch}); err != nil {
		p.t.Fatalf("node %d: %v", i, err)
	}
	p.nodes[i].in(func(time.Time, *Worker) {})
}

// join connects the twins.
func (p *pair) join() {
	p.t.Helper()
	c := linktest.NewCable(func(from int) bool { return !p.step(from) })
	errs := make(chan error)
	for i, h := range p.nodes {
		go func() { errs <- h.worker.Link(context.Background(), c.Ends[i], twinKey) }()
	}
	for range p.nodes {
		if err := <-errs; err != nil {
			p.t.Logf("link: %v", err)
		}
	}
	p.cable = c
}

// cut ends the session between the twins.
func (p *pair) cut() {
	p.t.Helper()
	for _, end := range p.cable.Ends {
		end.Close()
	}
	synctest.Wait()
	for i, h := range p.nodes {
		if h.facts().Replication.Connected {
			p.t.Fatalf("node %d still has a session", i)
		}
	}
}

func (h *host) replication() string {
	return h.facts().Replication.State.String()
}

// awaitStep waits until the standby of node i is in step.
func (p *pair) awaitStep(i int) {
	p.t.Helper()
	for range 500 {
		time.Sleep(10 * time.Millisecond)
		if p.nodes[i].replication() == "ready" && p.nodes[1-i].replication() == "ready" {
			return
		}
	}
	p.t.Fatalf("not in step: %+v and %+v", p.nodes[0].facts().Replication, p.nodes[1].facts().Replication)
}

// kill ends node i with everything that it had.
func (p *pair) kill(i int) {
	p.mu.Lock()
	p.dead[i] = true
	p.mu.Unlock()
	p.nodes[i].stop()
	h := newHost(p.t, p.net, p.nodes[i].tenant, gatewayAddr)
	h.failover, h.name, h.skew = p.nodes[i].failover, p.nodes[i].name, p.nodes[i].skew
	p.mu.Lock()
	p.nodes[i] = h
	p.mu.Unlock()
}

// revive starts node i anew, as the standby.
func (p *pair) revive(i int) {
	p.t.Helper()
	p.mu.Lock()
	p.dead[i] = false
	p.mu.Unlock()
	p.nodes[i].start()
	p.take(p.owner)
	p.follow(i)
}

// change hands over from node i to its twin, as an operator's switch does.
func (p *pair) change(i int) {
	p.t.Helper()
	h := p.nodes[i]
	before := h.count(string(control.KindQuiesced))
	if err := h.worker.Quiesce(context.Background(), control.Quiesce{}); err != nil {
		p.t.Fatal(err)
	}
	for range 100 {
		if h.count(string(control.KindQuiesced)) > before {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if h.count(string(control.KindQuiesced)) == before {
		p.t.Fatalf("node %d does not come to rest", i)
	}
	p.follow(i)
	p.serve(1 - i)
	p.join()
}

func (p *pair) stop() {
	for _, h := range p.nodes {
		if h.worker != nil {
			h.stop()
		}
	}
}

// count returns how often the supervisor was asked for kind.
func (h *host) count(kind string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, a := range h.asked {
		if len(a) >= len(kind) && a[:len(kind)] == kind {
			n++
		}
	}
	return n
}

// in runs f in the loop of the worker.
func (h *host) in(f func(now time.Time, w *Worker)) {
	h.t.Helper()
	if err := h.worker.do(context.Background(), func(now time.Time) error {
		f(now, h.worker)
		h.worker.flush(now)
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
}

// rekeyChild and rekeyIKE rekey everything that a worker has.
func (h *host) rekeyChild() {
	h.in(func(now time.Time, w *Worker) {
		for _, s := range w.engine.Status() {
			for _, c := range s.Children {
				w.command(now, exchange.RekeyChild{ID: c.ID})
			}
		}
	})
}

func (h *host) rekeyIKE() {
	h.in(func(now time.Time, w *Worker) {
		for _, s := range w.engine.Status() {
			w.command(now, exchange.RekeyIKE{SPI: s.Peer.SPI})
		}
	})
}

// active returns the node that has the addresses.
func (p *pair) active() *host { return p.nodes[p.owner] }

func testGateway() *spec.Tenant { return gatewayTenant(8) }

// newClient starts a client and waits until it is up.
func (p *pair) newClient(last int, identity string) *host {
	p.t.Helper()
	addr := fmt.Sprint("198.51.100.", last)
	c := newHost(p.t, p.net, clientTenant(addr, identity), addr)
	c.start()
	time.Sleep(time.Second)
	c.assigned()
	return c
}

func (p *pair) mustPing(c *host, when string) {
	p.t.Helper()
	if !ping(c, p.active(), c.assigned()) {
		p.t.Errorf("no traffic %s", when)
	}
}

func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		for range 20 {
			p.mustPing(alice, "before the takeover")
		}
		time.Sleep(3 * time.Second) // counters are told
		before := p.nodes[0].established()[0]
		standby := p.nodes[1].established()
		if len(standby) != 1 || len(standby[0].ChildSAs) != 1 {
			t.Fatalf("the standby has %+v", standby)
		}
		if got, want := standby[0].ChildSAs[0], before.ChildSAs[0]; got.BytesIn != want.BytesIn ||
			got.BytesOut != want.BytesOut || got.PacketsIn != 20 {
			t.Errorf("byte counts of the standby: %+v, of the active %+v", got, want)
		}
		inits := len(p.inits)
		p.kill(0)
		p.serve(1)
		p.mustPing(alice, "after the takeover")
		after := p.nodes[1].established()[0]
		if after.SPIr != before.SPIr || after.Assigned[0] != before.Assigned[0] ||
			!after.Established.Equal(before.Established) {
			t.Errorf("the session is another one: %+v, was %+v", after, before)
		}
		if in := after.ChildSAs[0].PacketsIn; in != 21 {
			t.Errorf("%d packets counted, want 21", in)
		}
		bob := p.newClient(3, "bob@example") // a leased address is never given twice
		if bob.assigned() == alice.assigned() {
			t.Error("bob got alice's address")
		}
		time.Sleep(10 * time.Minute)
		p.mustPing(alice, "ten minutes later")
		p.mustPing(bob, "ten minutes later")
		if len(p.inits) != inits+1 {
			t.Errorf("%d IKE_SA_INIT", len(p.inits)-inits)
		}
		for _, h := range []*host{alice, bob} {
			for _, s := range h.established() {
				if s.ChildSAs[0].ReplayDropped != 0 {
					t.Errorf("replay drops at a client: %+v", s)
				}
			}
			h.stop()
		}
		p.stop()
	})
}

// TestStandbyReturns kills each node in turn, five times, and lets it come back
// with nothing.
func TestStandbyReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		for round := range 5 {
			victim := p.owner
			p.kill(victim)
			time.Sleep(150 * time.Millisecond)
			p.serve(1 - victim)
			p.mustPing(alice, fmt.Sprint("after takeover ", round))
			time.Sleep(time.Second)
			asked := 0
			p.mu.Lock()
			p.fault = func(d esptest.Datagram) []esptest.Datagram {
				if b := d.Data; len(b) > 24 && binary.BigEndian.Uint32(b) == 0 && b[22] == 36 {
					asked++
				}
				return []esptest.Datagram{d}
			}
			p.mu.Unlock()
			p.revive(victim)
			p.join()
			p.awaitStep(p.owner)
			if asked > 0 {
				t.Errorf("round %d: %d exchanges because a node came back", round, asked)
			}
			p.mustPing(alice, fmt.Sprint("after the return ", round))
			if round%2 == 1 {
				alice.rekeyIKE()
				p.active().rekeyChild()
				time.Sleep(time.Second)
			}
		}
		if len(p.inits) != 1 {
			t.Errorf("%d IKE_SA_INIT", len(p.inits))
		}
		alice.stop()
		p.stop()
	})
}

// TestSwitchTenTimes is the operator's switch, under traffic.
func TestSwitchTenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		for i := range 10 {
			p.change(p.owner)
			p.mustPing(alice, fmt.Sprint("after switch ", i))
			p.awaitStep(p.owner)
			time.Sleep(2 * time.Second)
		}
		alice.rekeyIKE()
		time.Sleep(time.Second)
		p.mustPing(alice, "in the end")
		if len(p.inits) != 1 {
			t.Errorf("%d IKE_SA_INIT", len(p.inits))
		}
		alice.stop()
		p.stop()
	})
}

// TestLinkRefused: what leads to a stranger becomes no session, and the tenant
// is served on.
func TestLinkRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		for name, cfg := range map[string]link.SessionConfig{
			"wrong key": {Key: secret.Copy([]byte("another key")), Unit: failover.UnitSecondary},
			"same unit": {Key: secret.Copy([]byte("the key of the twins")), Unit: failover.UnitPrimary},
		} {
			c := linktest.NewCable(nil)
			done := make(chan error)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				_, err := link.NewSession(ctx, c.Ends[1], cfg)
				done <- err
			}()
			if err := p.nodes[0].worker.Link(context.Background(), c.Ends[0], twinKey); err == nil {
				t.Errorf("%s: a session began", name)
			}
			if err := <-done; err == nil {
				t.Errorf("%s: the stranger has a session", name)
			}
			if got := p.nodes[0].replication(); got != "ready" {
				t.Errorf("%s: replication is %s", name, got)
			}
		}
		p.mustPing(alice, "after strangers")
		alice.stop()
		p.stop()
	})
}

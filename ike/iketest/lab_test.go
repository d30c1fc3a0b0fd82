package iketest

import (
	"flag"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

var seedFlag = flag.Uint64("seed", 0, "run only this seed of the hostile wire")

func noTrouble(t *testing.T, l *Lab) {
	t.Helper()
	for _, x := range l.Trouble {
		t.Error(x)
	}
}

func TestConnect(t *testing.T) {
	l := New(1, Faults{Delay: 10 * time.Millisecond})
	g, c := l.Pair(nil)
	if !l.Until(5*time.Second, func() bool { return Up(g, c) }) {
		t.Fatalf("not up: gateway %v %v, client %v %v", g.Events, g.Errors, c.Events, c.Errors)
	}
	s := c.Established()[0]
	if s.Session.Addresses[0] != LeaseAddr ||
		fmt.Sprint(s.Children[0].Local, s.Children[0].Remote) != "[10.99.0.10/32] [10.10.0.0/24]" {
		t.Errorf("client got %v, selectors %v %v", s.Session, s.Children[0].Local, s.Children[0].Remote)
	}
	if !s.Children[0].In.ESN {
		t.Error("ESN was not negotiated")
	}
	g.CheckSnapshot()
	c.CheckSnapshot()
	l.Run(2 * time.Minute)
	if !Up(g, c) {
		t.Error("did not stay up")
	}
	if err := c.Command(exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	l.Run(200 * time.Millisecond)
	if !Down(g, c) {
		t.Errorf("not down: %v %v", g.Engine.Status(), c.Engine.Status())
	}
	noTrouble(t, l)
}

func TestNATRebinding(t *testing.T) {
	l := New(2, Faults{Delay: 10 * time.Millisecond})
	l.Translate(20000)
	g, c := l.Pair(nil)
	if !l.Until(5*time.Second, func() bool { return Up(g, c) }) {
		t.Fatalf("not up: %v %v", g.Events, c.Events)
	}
	s := g.Established()[0]
	if !s.NAT || s.Children[0].Encap.String() != "udp" ||
		s.Children[0].RemoteAddr != netip.AddrPortFrom(natAddr, 24500) {
		t.Fatalf("gateway sees %+v", s)
	}
	l.Translate(30000)
	l.Run(2 * time.Minute) // liveness of the client, or of the gateway answered by nobody
	if got := g.Plane[s.Children[0].ID].RemoteAddr; got != netip.AddrPortFrom(natAddr, 34500) {
		t.Errorf("data plane sends to %v after the new mapping", got)
	}
	l.Translate(40000)
	if err := g.Command(exchange.PeerMoved{ID: s.Children[0].ID,
		Remote: netip.AddrPortFrom(natAddr, 44500)}); err != nil {
		t.Fatal(err)
	}
	if got := g.Plane[s.Children[0].ID].RemoteAddr; got != netip.AddrPortFrom(natAddr, 44500) {
		t.Errorf("data plane sends to %v after ESP from the new mapping", got)
	}
	l.Run(5 * time.Minute)
	if !Up(g, c) || g.Established()[0].Peer.SPI != s.Peer.SPI {
		t.Error("the SA did not survive")
	}
	noTrouble(t, l)
}

// TestHostileWire: however bad the wire is, both ends agree in the end.
func TestHostileWire(t *testing.T) {
	first, last := uint64(1), uint64(1000)
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	ups := 0
	for seed := first; seed <= last; seed++ {
		if up := hostile(t, seed); up {
			ups++
		}
		if t.Failed() {
			t.Fatalf("repeat with -seed=%d", seed)
		}
	}
	t.Logf("%d of %d ended up, the others down", ups, last-first+1)
}

func hostile(t *testing.T, seed uint64) bool {
	t.Helper()
	l := New(seed, Faults{
		Drop: 0.25, Duplicate: 0.15, Corrupt: 0.10, Delay: 5 * time.Millisecond, Jitter: 900 * time.Millisecond,
	})
	g, c := l.Pair(func(g, c *exchange.Config) {
		for _, cfg := range []*exchange.Config{g, c} {
			cfg.Policies[0].Lifetime = 10 * time.Minute
			cfg.Entries[0].Proposals[0].Lifetime = 3 * time.Minute
			cfg.RetransmitTries = 4
			cfg.Profiles[0].DPD = 20 * time.Second
			if seed%2 == 0 {
				cfg.FragmentSize = int(140 + seed%100)
			}
		}
	})
	if seed%3 == 0 {
		l.Translate(20000)
	}
	l.Run(time.Duration(2+seed%25) * time.Minute)
	switch seed % 4 {
	case 0: // the wire heals; the client goes on
		l.Faults = Faults{Delay: 5 * time.Millisecond}
		if !l.Until(10*time.Minute, func() bool {
			return Up(g, c) && len(g.Engine.Status()) == 1 && len(c.Engine.Status()) == 1
		}) {
			t.Errorf("seed %d: not up: gateway %v, client %v", seed, g.Engine.Status(), c.Engine.Status())
		}
	default: // nobody wants it any more
		cfg := c.Config
		cfg.Entries = append([]exchange.Entry(nil), cfg.Entries...)
		cfg.Entries[0].Initiate = false
		if err := c.Engine.Configure(&cfg); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Engine.Status() {
			c.Command(exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: "test"})
		}
		if !l.Until(20*time.Minute, func() bool { return Down(g, c) }) {
			t.Errorf("seed %d: not down: gateway %+v, client %+v", seed, g.Engine.Status(), c.Engine.Status())
		}
	}
	g.CheckSnapshot()
	c.CheckSnapshot()
	noTrouble(t, l)
	return Up(g, c)
}

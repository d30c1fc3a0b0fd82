package iketest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

var client6 = netip.MustParseAddr("2001:db8:2::7")

// roamer is a gateway, and who has dialled it: each has an IPv4 and an IPv6 address, and
// the IPv4 path is that which they take. seed is that of the lab.
func roamer(t *testing.T, seed uint64) (l *Lab, g, c *Node) {
	t.Helper()
	l = New(seed, Faults{Delay: 10 * time.Millisecond})
	g, c = l.Pair(func(g, c *exchange.Config) {
		second := g.Entries[0]
		second.Local = gateway6
		g.Entries = append(g.Entries, second)
		second = c.Entries[0]
		second.Local = client6
		c.Entries = append(c.Entries, second)
	})
	g.Also, c.Also = gateway6, client6
	if !l.Until(10*time.Second, func() bool { return Up(g, c) }) {
		t.Fatalf("not up: %v %v", g.Events, c.Events)
	}
	if !c.Established()[0].MOBIKE || !g.Established()[0].MOBIKE {
		t.Error("they have not agreed on MOBIKE")
	}
	t.Cleanup(func() { noTrouble(t, l) })
	return l, g, c
}

// between reports whether IKE SA and child SA of n are between the two addresses, and
// there is no other.
func between(n *Node, local, remote netip.Addr) bool {
	at := func(l, r netip.AddrPort) bool {
		return l == netip.AddrPortFrom(local, 4500) && r == netip.AddrPortFrom(remote, 4500)
	}
	up := n.Established()
	if len(up) != 1 || len(n.Plane) != 1 || !at(up[0].Peer.Local, up[0].Peer.Remote) {
		return false
	}
	for _, c := range n.Plane {
		return at(c.LocalAddr, c.RemoteAddr)
	}
	return false
}

// moveTo gives the node another address in the place of its first one.
func (n *Node) moveTo(a netip.Addr) {
	if n.former == nil {
		n.former = map[netip.Addr]bool{}
	}
	n.former[n.Addr] = true
	n.Addr = a
	n.Config.Entries = slices.Clone(n.Config.Entries)
	n.Config.Entries[0].Local = a
	n.Do(func(out *exchange.Output) error { return n.Engine.Reconfigure(n.lab.Now, &n.Config, out) })
}

// interruptions are what happens to n in the middle: nothing, or its end after the commit
// number at, before anything is sent.
var interruptions = map[string]func(l *Lab, n *Node, at int){
	"nothing": func(*Lab, *Node, int) {},
	"a kill": func(l *Lab, n *Node, at int) {
		l.Crash = func(o *Node) bool { at--; return o == n && at == 0 }
	},
	"a takeover": func(l *Lab, n *Node, at int) {
		l.Before = func() {
			if at--; at == 0 {
				n.Takeover(n.Epoch+1, 0)
			}
		}
	},
}

// TestOutageFoundByTheInitiator: who has dialled and gets no answer any more looks for
// another way, tells the peer that it takes that (RFC 4555 sections 3.5 and 3.10), and so
// back when that one is lost; whatever happens to either end in the middle, nothing is
// connected anew.
func TestOutageFoundByTheInitiator(t *testing.T) {
	for name, interrupt := range interruptions {
		for at := range 12 {
			if name == "nothing" && at > 0 {
				break
			}
			for _, who := range []string{"gateway", "client"} {
				l, g, c := roamer(t, uint64(100+at))
				lost := ClientAddr // the path with this address carries nothing
				l.Lose = func(_ *Node, d exchange.Datagram) bool {
					return d.Local.Addr() == lost || d.Remote.Addr() == lost
				}
				interrupt(l, map[string]*Node{"gateway": g, "client": c}[who], at+1)
				if !l.Until(3*time.Minute, func() bool {
					return between(c, client6, gateway6) && between(g, gateway6, client6)
				}) {
					t.Fatalf("%s of %s at %d: not over IPv6: %v, %v", name, who, at, c.Established(), g.Established())
				}
				l.Run(time.Minute)
				lost = client6
				if !l.Until(3*time.Minute, func() bool {
					return between(c, ClientAddr, GatewayAddr) && between(g, GatewayAddr, ClientAddr)
				}) {
					t.Fatalf("%s of %s at %d: not over IPv4: %v, %v", name, who, at, c.Established(), g.Established())
				}
				if n := tally[exchange.IKEUp](c.Events); n != 1 {
					t.Errorf("%s of %s at %d: %d IKE SAs came up", name, who, at, n)
				}
				g.CheckSnapshot()
				c.CheckSnapshot()
			}
		}
	}
}

// TestAddressOfOursChanges: an IKE SA that we have dialled goes on from the address that
// the configuration has now, of another family too, also after a rekeying by the peer.
func TestAddressOfOursChanges(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.99")
	for name, interrupt := range interruptions {
		for at := range 8 {
			if name == "nothing" && at > 0 {
				break
			}
			for _, to := range []netip.Addr{other, client6} {
				l, g, c := roamer(t, uint64(200+at))
				rekey(g, "client@example", true)
				l.Run(time.Second)
				interrupt(l, c, at+1)
				if to == client6 {
					c.Config.Entries = c.Config.Entries[1:]
				}
				c.moveTo(to)
				peer := GatewayAddr
				if to == client6 {
					peer = gateway6
				}
				if !l.Until(2*time.Minute, func() bool { return between(c, to, peer) && between(g, peer, to) }) {
					t.Fatalf("%s at %d: not at %v: %v, %v", name, at, to, c.Established(), g.Established())
				}
				l.Run(2 * time.Minute)
				if n := tally[exchange.IKEUp](c.Events); n != 1 || !between(g, peer, to) {
					t.Errorf("%s at %d: %d IKE SAs came up", name, at, n)
				}
			}
		}
	}
}

// TestFurtherAddressChanges: where another of our addresses than the one in use changes,
// the peer is told, so that it finds us there; and a gateway that was taken over then,
// and asks for message IDs where nobody is any more, asks where requests come from.
func TestFurtherAddressChanges(t *testing.T) {
	other := netip.MustParseAddr("2001:db8:2::9")
	change := func(l *Lab, c *Node, tell bool) {
		c.Also = other
		c.Config.Entries = slices.Clone(c.Config.Entries)
		c.Config.Entries[1].Local = other
		c.Do(func(out *exchange.Output) error {
			if tell {
				return c.Engine.Reconfigure(l.Now, &c.Config, out)
			}
			return c.Engine.Configure(&c.Config)
		})
		l.Run(time.Second)
	}
	t.Run("told", func(t *testing.T) {
		l, g, c := roamer(t, 8)
		change(l, c, true)
		there := 0
		l.Lose = func(from *Node, d exchange.Datagram) bool {
			if from == g && d.Remote.Addr() == other {
				there++
			}
			return true
		}
		rekey(g, "client@example", false)
		if l.Run(10 * time.Second); there == 0 {
			t.Error("the gateway does not look for the client at its new address")
		}
	})
	t.Run("not told, and the gateway is taken over from", func(t *testing.T) {
		l, g, c := roamer(t, 8)
		change(l, c, false)
		healed := l.Now.Add(25 * time.Second) // when the gateway has begun to synchronise, where nobody is
		l.Lose = func(_ *Node, d exchange.Datagram) bool {
			return l.Now.Before(healed) || d.Local.Addr() == ClientAddr || d.Remote.Addr() == ClientAddr
		}
		g.Takeover(g.Epoch+1, 0)
		rekey(c, "gw.example", false) // waits for an answer
		if !l.Until(time.Minute, func() bool { return between(c, other, gateway6) && between(g, gateway6, other) }) {
			t.Errorf("not over IPv6: %v, %v", c.Established(), g.Established())
		}
		if n := tally[exchange.IKEUp](c.Events); n != 1 {
			t.Errorf("%d IKE SAs came up", n)
		}
	})
}

// TestPeerLosesItsAddress: where the peer says from another of its addresses that these
// are all that it has, who has dialled goes there; a peer that was dialled moves nothing
// by itself; one that does not take the new address has the SA connected anew.
func TestPeerLosesItsAddress(t *testing.T) {
	tell := func(t *testing.T, g, c *Node, ps ...wire.Payload) {
		t.Helper()
		k := newKeyring()
		k.learn(c)
		up := c.Established()[0]
		p := pairOf(&up)
		h := wire.Header{SPIi: p.i, SPIr: p.r, Version: wire.Version2, Exchange: wire.Informational}
		b, err := k.ciphers[p].responder.Seal(nil, h, forgedIV, c.Config.Rand, ps...)
		if err != nil {
			t.Fatal(err)
		}
		c.lab.Inject(c.lab.Now, exchange.Datagram{Local: netip.AddrPortFrom(client6, 4500),
			Remote: netip.AddrPortFrom(gateway6, 4500), Payload: b})
	}
	t.Run("lost", func(t *testing.T) {
		l, g, c := roamer(t, 7)
		tell(t, g, c, wire.Notify{Type: wire.NoAdditionalAddresses})
		if !l.Until(time.Second, func() bool {
			return between(c, client6, gateway6) && between(g, gateway6, client6)
		}) {
			t.Errorf("not over IPv6: %v, %v", c.Established(), g.Established())
		}
	})
	t.Run("one more", func(t *testing.T) {
		l, g, c := roamer(t, 7)
		tell(t, g, c, wire.Notify{Type: wire.AdditionalIP4Address, Data: GatewayAddr.AsSlice()})
		l.Run(time.Second)
		if !between(c, ClientAddr, GatewayAddr) {
			t.Errorf("moved: %v", c.Established())
		}
	})
	t.Run("moves by itself", func(t *testing.T) {
		l, g, c := roamer(t, 7)
		tell(t, g, c, wire.Notify{Type: wire.UpdateSAAddresses})
		l.Run(time.Second)
		if !between(c, ClientAddr, GatewayAddr) {
			t.Errorf("moved: %v", c.Established())
		}
	})
	t.Run("not taken", func(t *testing.T) {
		l, g, c := roamer(t, 7)
		next := g.Config
		next.Entries = slices.Clone(next.Entries[:1]) // IPv6 is no way any more
		if err := g.Engine.Configure(&next); err != nil {
			t.Fatal(err)
		}
		l.Lose = func(_ *Node, d exchange.Datagram) bool { return d.Local.Addr().Is4() }
		l.Until(time.Minute, func() bool { return len(c.Plane) == 0 })
		l.Lose = nil
		if !l.Until(3*time.Minute, func() bool { return between(c, ClientAddr, GatewayAddr) && Up(g, c) }) {
			t.Errorf("not connected anew: %v, %v", c.Engine.Status(), g.Engine.Status())
		}
		if n := tally[exchange.IKEUp](c.Events); n != 2 {
			t.Errorf("%d IKE SAs came up", n)
		}
	})
}

// TestWithoutMOBIKE: who may not use it stays on port 500 where no NAT is, and says
// nothing of its addresses.
func TestWithoutMOBIKE(t *testing.T) {
	l := New(5, Faults{Delay: 10 * time.Millisecond})
	g, c := l.Pair(func(_, c *exchange.Config) { c.NoMOBIKE = true })
	if !l.Until(10*time.Second, func() bool { return Up(g, c) }) {
		t.Fatal("not up")
	}
	up := c.Established()[0]
	if up.MOBIKE || g.Established()[0].MOBIKE || up.Peer.Remote.Port() != 500 || up.Children[0].Encap != sa.EncapRaw {
		t.Errorf("%+v", up)
	}
}

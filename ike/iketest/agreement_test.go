package iketest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/ikev2"
	"github.com/warrenvpn/warren/ike/wire"
)

// holds proves, for each extension, that what both ends have agreed on holds: it
// sees g and c connected.
var holds = map[string]func(t *testing.T, l *Lab, g, c *Node){
	"RFC 6311": func(t *testing.T, l *Lab, g, c *Node) {
		skipped, told := tally[exchange.PeerSkipped](g.Events), tally[exchange.SkipNumbers](c.Events)
		g.Takeover(g.Epoch+1, 0)
		l.Run(time.Minute)
		skipped, told = tally[exchange.PeerSkipped](g.Events)-skipped, tally[exchange.SkipNumbers](c.Events)-told
		if skipped != 1 || told != 1 {
			t.Errorf("the gateway has synchronised %d times, the client was told %d times", skipped, told)
		}
	},
	"RFC 7383": func(t *testing.T, l *Lab, g, c *Node) {
		fragments := map[*Node]int{}
		l.Spy = func(from *Node, d exchange.Datagram) {
			if h, err := wire.ParseHeader(d.Payload); err == nil && h.NextPayload == wire.TypeSKF {
				fragments[from]++
			}
		}
		for _, n := range []*Node{g, c} {
			cfg := n.Config
			cfg.FragmentSize = 180
			if err := n.Engine.Configure(&cfg); err != nil {
				t.Fatal(err)
			}
		}
		before := tally[exchange.ChildUp](c.Events)
		if err := c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID}); err != nil {
			t.Fatal(err)
		}
		l.Run(5 * time.Second)
		if fragments[g] == 0 || fragments[c] == 0 || tally[exchange.ChildUp](c.Events) != before+1 {
			t.Errorf("the gateway has sent %d fragments, the client %d", fragments[g], fragments[c])
		}
	},
	"RFC 4555": func(t *testing.T, l *Lab, g, c *Node) {
		to := netip.MustParseAddr("192.0.2.99")
		if c.Addr == to {
			to = ClientAddr
		}
		c.moveTo(to)
		l.Run(5 * time.Second)
		if !between(c, to, GatewayAddr) || !between(g, GatewayAddr, to) {
			t.Errorf("not at %v: the client says %v, the gateway %v", to, c.Established(), g.Established())
		}
	},
}

// TestAgreementsSurvive: what both ends have agreed on is in force after either end
// is killed, after rekeyings by either, and after both. An extension without a line
// in holds fails.
func TestAgreementsSurvive(t *testing.T) {
	kill := func(_ *testing.T, _ *Lab, g, c *Node) { g.Kill(); c.Kill() }
	rekey := func(t *testing.T, l *Lab, g, c *Node) {
		for _, n := range []*Node{g, c} {
			if err := n.Command(exchange.RekeyIKE{SPI: n.Established()[0].Peer.SPI}); err != nil {
				t.Fatal(err)
			}
			l.Run(5 * time.Second)
		}
		if n := tally[exchange.IKERekeyed](g.Events); n < 2 {
			t.Fatalf("rekeyed %d times", n)
		}
	}
	for _, name := range ikev2.Extensions() {
		hold := holds[name]
		if hold == nil {
			t.Errorf("%s: what proves that it survives? Give it a line in holds", name)
			continue
		}
		for _, tt := range []struct {
			name  string
			steps []func(*testing.T, *Lab, *Node, *Node)
		}{
			{"nothing", nil}, {"kill", []func(*testing.T, *Lab, *Node, *Node){kill}},
			{"rekeying", []func(*testing.T, *Lab, *Node, *Node){rekey}},
			{"rekeying and kill", []func(*testing.T, *Lab, *Node, *Node){rekey, kill}},
			{"kill and rekeying", []func(*testing.T, *Lab, *Node, *Node){kill, rekey}},
		} {
			t.Run(name+" after "+tt.name, func(t *testing.T) {
				l, g, c := connected(t, nil)
				for _, step := range tt.steps {
					step(t, l, g, c)
				}
				hold(t, l, g, c)
				hold(t, l, g, c)
				noTrouble(t, l)
			})
		}
	}
}

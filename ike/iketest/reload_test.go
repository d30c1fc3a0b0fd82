package iketest

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// TestConfigureDuringAnExchange: what an exchange has offered holds until its
// answer, also when the configuration has become shorter, or ordered otherwise,
// in between. The exchange that follows obeys the new one.
func TestConfigureDuringAnExchange(t *testing.T) {
	chachaESP := exchange.ChildProposal{Name: "chacha", Lifetime: time.Hour,
		Proposal: sa.Proposal{chacha, {Type: sa.Sequence, ID: sa.SeqExtended}}}
	first := exchange.Policy{Name: "5", Proposal: sa.Proposal{chacha, prf256, x25519}, Lifetime: time.Hour}
	tests := []struct {
		name  string
		begin func(l *Lab, c *Node) // ends with the request on its way
	}{
		{"IKE_SA_INIT", func(l *Lab, c *Node) { l.Run(time.Millisecond) }},
		{"IKE_AUTH", func(l *Lab, c *Node) { l.Run(120 * time.Millisecond) }},
		{"child SA", func(l *Lab, c *Node) {
			l.Run(time.Second)
			c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID})
		}},
		{"IKE SA", func(l *Lab, c *Node) {
			l.Run(time.Second)
			c.Command(exchange.RekeyIKE{SPI: c.Established()[0].Peer.SPI})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := New(21, Faults{Delay: 50 * time.Millisecond})
			g, c := l.Pair(func(_, c *exchange.Config) {
				c.Policies = append([]exchange.Policy{first}, c.Policies...)
				c.Entries[0].Proposals = append([]exchange.ChildProposal{chachaESP}, c.Entries[0].Proposals...)
			})
			tt.begin(l, c)
			shorter := ClientConfig()
			shorter.Rand = c.Config.Rand
			shorter.Policies[0].Lifetime, shorter.Entries[0].Proposals[0].Lifetime = 3*time.Hour, 2*time.Hour
			if err := c.Engine.Configure(&shorter); err != nil {
				t.Fatal(err)
			}
			l.Run(5 * time.Second)
			if !Up(g, c) {
				t.Fatalf("not up: %v", c.Events)
			}
			if got := c.Established()[0].Children[0].Expires.Sub(l.Now); got < 7*time.Hour {
				t.Errorf("child SA of the old offer lives for %v, want 8h", got)
			}
			c.Command(exchange.RekeyChild{ID: c.Established()[0].Children[0].ID})
			l.Run(5 * time.Second)
			if got := c.Established()[0].Children[0].Expires.Sub(l.Now); !Up(g, c) || got > 2*time.Hour {
				t.Errorf("child SA of the new offer lives for %v, want 2h", got)
			}
			noTrouble(t, l)
		})
	}
}

// TestOfferSurvivesTheWorker: the successor of a worker understands an answer to
// what was offered before, whatever its configuration says.
func TestOfferSurvivesTheWorker(t *testing.T) {
	for _, ikeSA := range []bool{false, true} {
		l, g, c := connected(t, nil)
		if ikeSA {
			g.Command(exchange.RekeyIKE{SPI: g.Established()[0].Peer.SPI})
		} else {
			g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID})
		}
		g.Config.Policies = []exchange.Policy{{Name: "1", Proposal: sa.Proposal{chacha, prf384, x25519}}}
		g.Config.Entries[0].Proposals = []exchange.ChildProposal{{Name: "1", Proposal: sa.Proposal{chacha}}}
		g.Kill()
		l.Run(time.Second)
		if !Up(g, c) || tally[exchange.IKEDown](g.Events) != 0 ||
			tally[exchange.ChildUp](g.Events)+tally[exchange.IKERekeyed](g.Events) < 2 {
			t.Errorf("rekeying of the IKE SA: %v; %v", ikeSA, g.Events)
		}
	}
}

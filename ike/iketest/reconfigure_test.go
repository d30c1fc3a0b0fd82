package iketest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// branchPair are two sites with static entries; the client connects.
func branchPair(t *testing.T, delay time.Duration, remote string) (*Lab, *Node, *Node) {
	t.Helper()
	l := New(21, Faults{Delay: delay})
	g, c := l.Pair(func(g, c *exchange.Config) {
		g.Profiles[0].RemoteAccess, c.Entries[0].RequestAddress = false, false
		g.Entries[0] = exchange.Entry{Name: "branch", Local: GatewayAddr, Peer: ClientAddr, Profile: "staff",
			Proposals: childProposals(),
			LocalTS:   selectorsOf("10.10.0.0/24"), RemoteTS: selectorsOf("10.20.0.0/24")}
		c.Entries[0].LocalTS, c.Entries[0].RemoteTS = selectorsOf("10.20.0.0/16"), selectorsOf(remote)
	})
	if !l.Until(10*time.Second, func() bool { return Up(g, c) }) {
		t.Fatalf("not up: %v %v", g.Events, c.Events)
	}
	t.Cleanup(func() { noTrouble(t, l) })
	return l, g, c
}

// reconfigure changes what a node obeys.
func (n *Node) reconfigure(change func(c *exchange.Config)) {
	cfg := n.Config
	cfg.Profiles = append([]exchange.Profile(nil), cfg.Profiles...)
	cfg.Entries = append([]exchange.Entry(nil), cfg.Entries...)
	change(&cfg)
	n.Config = cfg
	n.Do(func(out *exchange.Output) error { return n.Engine.Reconfigure(n.lab.Now, &cfg, out) })
}

// TestReconfigureEnds: an SA that would not come about any more ends, with a DELETE
// and a reason; one that would stays.
func TestReconfigureEnds(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *exchange.Config)
		want   string // "": it stays
	}{
		{"nothing", func(*exchange.Config) {}, ""},
		{"a lifetime", func(c *exchange.Config) {
			c.Policies = []exchange.Policy{{Name: "10", Proposal: IKEProposal, Lifetime: time.Hour}}
		}, ""},
		{"another group", func(c *exchange.Config) {
			c.Profiles = append(c.Profiles, exchange.Profile{Name: "other", RemoteIdentities: patterns("x@other")})
		}, ""},
		{"the peer's key", func(c *exchange.Config) {
			c.Profiles[0].Remote = exchange.PSK{Key: secret.Copy([]byte("another one"))}
		}, "its pre-shared key was changed"},
		{"our key", func(c *exchange.Config) {
			c.Profiles[0].Local = exchange.PSK{Key: secret.Copy([]byte("another one"))}
		}, "its pre-shared key was changed"},
		{"a key of its own", func(c *exchange.Config) {
			c.Profiles[0].Remotes = []exchange.IdentityCredential{{Identity: identity.MustParse("client@example"),
				Credential: exchange.PSK{Key: secret.Copy([]byte("another one"))}}}
		}, "its pre-shared key was changed"},
		{"the same key as its own", func(c *exchange.Config) {
			c.Profiles[0].Remotes = []exchange.IdentityCredential{{Identity: identity.MustParse("client@example"),
				Credential: c.Profiles[0].Remote}}
		}, ""},
		{"identities", func(c *exchange.Config) { c.Profiles[0].RemoteIdentities = patterns("*@elsewhere") },
			"does not take its peer any more"},
		{"our identity", func(c *exchange.Config) {
			c.Profiles[0].LocalIdentity = identity.MustParse("gw2.example")
		}, "the identity of this gateway was changed"},
		{"a group that takes it first", func(c *exchange.Config) {
			c.Profiles = append(c.Profiles, exchange.Profile{Name: "one", RemoteIdentities: patterns("client@example")})
		}, "does not take its peer any more"},
		{"the group", func(c *exchange.Config) {
			c.Profiles[0].Name = "renamed"
			c.Entries[0].Profile = ""
			if !c.Entries[0].Dynamic {
				c.Entries[0].Profile = "renamed"
			}
		}, "its tunnel group was removed"},
		{"the entry", func(c *exchange.Config) { c.Entries = nil }, "its crypto map entry was removed"},
	}
	for _, static := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(strings.ReplaceAll(fmt.Sprintf("static %v, %s", static, tt.name), " ", "_"), func(t *testing.T) {
				var l *Lab
				var g, c *Node
				if static {
					l, g, c = branchPair(t, 10*time.Millisecond, "10.10.0.0/16")
				} else {
					l, g, c = connected(t, nil)
				}
				before := g.Established()[0].Peer.SPI
				// it does not connect again
				c.Engine.Configure(&exchange.Config{Profiles: c.Config.Profiles, Policies: c.Config.Policies})
				g.reconfigure(tt.change)
				l.Run(2 * time.Second)
				if tt.want == "" {
					if got := g.Established(); len(got) != 1 || got[0].Peer.SPI != before {
						t.Errorf("it ended: %v", g.Events)
					}
					return
				}
				reason := ""
				for _, e := range g.Events {
					if down, ok := e.(exchange.IKEDown); ok {
						reason = down.Reason
					}
				}
				if !strings.Contains(reason, tt.want) || !Down(g, c) {
					t.Errorf("ended because %q, want %q; both down: %v", reason, tt.want, Down(g, c))
				}
			})
		}
	}
}

// networksOf lists the networks of the child SAs that are not being replaced.
func networksOf(n *Node) string {
	var out []string
	for _, s := range n.Established() {
		for _, c := range s.Children {
			out = append(out, fmt.Sprintf("%v=%v", c.Local, c.Remote))
		}
	}
	return strings.Join(out, " ")
}

// TestReconfigureNetworks: child SAs get the networks that the configuration has
// now, whoever connected, and without a gap; what is not theirs any more goes.
func TestReconfigureNetworks(t *testing.T) {
	entry := func(local, remote string) func(c *exchange.Config) {
		return func(c *exchange.Config) {
			c.Entries[0].LocalTS, c.Entries[0].RemoteTS = selectorsOf(strings.Fields(local)...),
				selectorsOf(strings.Fields(remote)...)
		}
	}
	tests := []struct {
		name            string
		gateway, client func(c *exchange.Config)
		want            string // local and remote at the gateway; "": none
		again           bool   // another child SA, or the same after a rekeying
	}{
		{"fewer", entry("10.10.0.0/25", "10.20.0.0/24"), nil, "10.10.0.0/25 10.20.0.0/24", true},
		{"more", entry("10.10.0.0/23", "10.20.0.0/24"), nil, "10.10.0.0/23 10.20.0.0/24", true},
		{"one more", entry("10.10.0.0/24 10.10.9.0/24", "10.20.0.0/24"), nil, "10.10.0.0/24 10.10.9.0/24 10.20.0.0/24",
			true},
		{"others", entry("10.10.9.0/24", "10.20.0.0/24"), nil, "10.10.9.0/24 10.20.0.0/24", true},
		{"others that the peer does not want", entry("10.99.9.0/24", "10.20.0.0/24"), nil, "", true},
		{"more than the peer wants", entry("10.0.0.0/8", "10.20.0.0/24"), nil, "10.10.0.0/16 10.20.0.0/24", true},
		{"by who connected", entry("10.10.0.0/16", "10.20.0.0/16"), entry("10.20.5.0/24", "10.10.5.0/24"),
			"10.10.5.0/24 10.20.5.0/24", true},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			l, g, c := branchPair(t, 10*time.Millisecond, "10.10.0.0/16")
			ikeSA := g.Established()[0].Peer.SPI
			g.reconfigure(tt.gateway)
			l.Run(100 * time.Millisecond)
			if tt.client != nil {
				c.reconfigure(tt.client)
			}
			gap := false
			l.Until(3*time.Second, func() bool {
				gap = gap || networksOf(g) == ""
				return false
			})
			want := ""
			if tt.want != "" {
				f := strings.Fields(tt.want)
				n := len(f) - 1
				want = fmt.Sprintf("%v=%v", selectorsOf(f[:n]...), selectorsOf(f[n:]...))
			}
			if got := networksOf(g); got != want || gap != (want == "") {
				t.Errorf("got  %s\nwant %s\ngap: %v\n%v", got, want, gap, g.Events)
			}
			if got := g.Established(); len(got) != 1 || got[0].Peer.SPI != ikeSA {
				t.Errorf("the IKE SA is another one: %v", g.Events)
			}
		})
	}
}

// TestReconfigureDuringAnExchange: an exchange that was under way brings nothing
// into being that is not allowed any more.
func TestReconfigureDuringAnExchange(t *testing.T) {
	for _, byGateway := range []bool{true, false} {
		for _, ikeSA := range []bool{true, false} {
			for _, key := range []bool{true, false} {
				t.Run(fmt.Sprintf("by_gateway_%v,_ike_%v,_key_%v", byGateway, ikeSA, key), func(t *testing.T) {
					l, g, c := branchPair(t, 50*time.Millisecond, "10.10.0.0/16")
					n := c
					if byGateway {
						n = g
					}
					if ikeSA {
						n.Command(exchange.RekeyIKE{SPI: n.Established()[0].Peer.SPI})
					} else {
						n.Command(exchange.RekeyChild{ID: n.Established()[0].Children[0].ID})
					}
					l.Run(20 * time.Millisecond)
					c.Engine.Configure(&exchange.Config{Profiles: c.Config.Profiles, Policies: c.Config.Policies,
						Entries: []exchange.Entry{func() exchange.Entry {
							e := c.Config.Entries[0]
							e.Initiate = false
							return e
						}()}})
					g.reconfigure(func(c *exchange.Config) {
						if key {
							c.Profiles[0].Remote = exchange.PSK{Key: secret.Copy([]byte("another one"))}
							return
						}
						c.Entries[0].LocalTS = []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.10.0.0/25"))}
					})
					l.Run(10 * time.Second)
					if got := networksOf(g); key && got != "" || !key &&
						got != fmt.Sprintf("%v=%v", selectorsOf("10.10.0.0/25"), selectorsOf("10.20.0.0/24")) {
						t.Errorf("left: %q\n%v", got, g.Events)
					}
				})
			}
		}
	}
}

// TestReconfigureDynamicSite: a site at an unknown address loses what its tunnel
// group does not let it bring any more.
func TestReconfigureDynamicSite(t *testing.T) {
	l, g, c := connected(t, func(g, c *exchange.Config) {
		g.Profiles[0].RemoteAccess, c.Entries[0].RequestAddress = false, false
		g.Profiles[0].RemoteNetworks = selectorsOf("10.20.0.0/16")
		c.Entries[0].LocalTS, c.Entries[0].RemoteTS = selectorsOf("10.20.0.0/24", "10.20.1.0/24"),
			selectorsOf("10.10.0.0/24")
	})
	g.reconfigure(func(c *exchange.Config) { c.Profiles[0].RemoteNetworks = selectorsOf("10.20.1.0/24") })
	l.Run(2 * time.Second)
	if got, want := networksOf(g), fmt.Sprintf("%v=%v", selectorsOf("10.10.0.0/24"),
		selectorsOf("10.20.1.0/24")); got != want || !Up(g, c) {
		t.Errorf("got %s, want %s", got, want)
	}
	g.reconfigure(func(c *exchange.Config) { c.Profiles[0].RemoteNetworks = nil })
	l.Run(2 * time.Second)
	if got := networksOf(g); got != "" {
		t.Errorf("left: %s", got)
	}
}

// TestReconfigureSurvivesTheWorker: networks that were changed while another
// exchange was under way reach the child SA although the worker is replaced, or the
// standby takes over, before it is rekeyed.
func TestReconfigureSurvivesTheWorker(t *testing.T) {
	busy := map[string]func(g *Node) error{
		"rekeying_it": func(g *Node) error {
			return g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID})
		},
		"rekeying_the_IKE_SA": func(g *Node) error {
			return g.Command(exchange.RekeyIKE{SPI: g.Established()[0].Peer.SPI})
		},
	}
	networks := map[string]string{"fewer": "10.10.0.0/25", "more": "10.10.0.0/20", "others": "10.10.9.0/24"}
	for what, begin := range busy {
		for name, local := range networks {
			for _, takeover := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,_%s,_takeover_%v", what, name, takeover), func(t *testing.T) {
					l, g, c := branchPair(t, 50*time.Millisecond, "10.10.0.0/16")
					if err := begin(g); err != nil {
						t.Fatal(err)
					}
					l.Run(20 * time.Millisecond)
					g.reconfigure(func(c *exchange.Config) { c.Entries[0].LocalTS = selectorsOf(local) })
					if takeover {
						g.Takeover(2, 0)
					} else {
						g.Kill()
					}
					l.Run(2 * time.Minute)
					want := fmt.Sprintf("%v=%v", selectorsOf(local), selectorsOf("10.20.0.0/24"))
					if got := networksOf(g); got != want || !Up(g, c) {
						t.Errorf("got  %s\nwant %s\n%v", got, want, g.Events)
					}
				})
			}
		}
	}
}

// TestReconfigureMeetsARekeying: the networks that the configuration has got since are
// those of the child SA in the end, also where the peer rekeys it at the same time,
// whosoever successor stays, and across restarts.
func TestReconfigureMeetsARekeying(t *testing.T) {
	for before := range 6 { // other nonces
		for how, restart := range restarts {
			l, g, c := branchPair(t, 10*time.Millisecond, "10.10.0.0/16")
			for range before {
				c.Command(exchange.RekeyChild{ID: only(t, c).ID})
				l.Run(time.Second)
			}
			g.reconfigure(func(c *exchange.Config) { c.Entries[0].LocalTS = selectorsOf("10.10.0.0/23") })
			c.Command(exchange.RekeyChild{ID: only(t, c).ID})
			l.Run(15 * time.Millisecond)
			restart(g)
			l.Run(time.Minute)
			want := fmt.Sprintf("%v=%v", selectorsOf("10.10.0.0/23"), selectorsOf("10.20.0.0/24"))
			if got := networksOf(g); got != want || !one(g, c) {
				t.Errorf("%d before%s: got %s, want %s: %v", before, how, got, want, g.Events)
			}
		}
	}
}

// TestReconfigureAfterARekeying: the peer rekeys the child SA while the rekeying that
// brings the new networks waits for another exchange.
func TestReconfigureAfterARekeying(t *testing.T) {
	for how, restart := range restarts {
		l, g, c := branchPair(t, 10*time.Millisecond, "10.10.0.0/16")
		g.Command(exchange.RekeyChild{ID: only(t, g).ID})
		l.Run(25 * time.Millisecond) // its DELETE of the old one is out
		children := c.Established()[0].Children
		c.Command(exchange.RekeyChild{ID: children[len(children)-1].ID})
		g.reconfigure(func(c *exchange.Config) { c.Entries[0].LocalTS = selectorsOf("10.10.0.0/23") })
		l.Run(12 * time.Millisecond)
		restart(g)
		l.Run(time.Minute)
		want := fmt.Sprintf("%v=%v", selectorsOf("10.10.0.0/23"), selectorsOf("10.20.0.0/24"))
		if got := networksOf(g); got != want || !one(g, c) {
			t.Errorf("%s: got %s, want %s: %v", how, got, want, g.Events)
		}
	}
}

package iketest

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// TestExpireLate: whatever comes due in one late Expire, also where the entry was
// configured away and a rekeying comes to nothing, every deadline passes and the
// client is connected in the end.
func TestExpireLate(t *testing.T) {
	type change struct {
		name string
		tune func(cfg *exchange.Config)
	}
	changes := []change{
		{"nothing", func(*exchange.Config) {}},
		{"entry", func(cfg *exchange.Config) { cfg.Entries[0].Name = "renamed" }},
		{"entries", func(cfg *exchange.Config) { cfg.Entries = nil }},
		{"proposals", func(cfg *exchange.Config) { cfg.Entries[0].Proposals = nil }},
		{"policies", func(cfg *exchange.Config) { cfg.Policies = nil }},
		{"profiles", func(cfg *exchange.Config) { cfg.Profiles = nil }},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			for late := time.Second; late < 30*time.Hour; late = late*2 + time.Second {
				l := New(21, Faults{Delay: 10 * time.Millisecond})
				g, c := l.Pair(shortLives)
				if !l.Until(10*time.Second, func() bool { return Up(g, c) }) {
					t.Fatal("not up")
				}
				cfg := g.Config
				cfg.Entries, cfg.Policies = slices.Clone(cfg.Entries), slices.Clone(cfg.Policies)
				change.tune(&cfg)
				if err := g.Engine.Configure(&cfg); err != nil {
					t.Fatal(err)
				}
				l.Now = l.Now.Add(late)
				g.Do(func(out *exchange.Output) error { g.Engine.Expire(l.Now, out); return nil })
				l.Run(time.Minute)
				if err := g.Engine.Configure(&g.Config); err != nil {
					t.Fatal(err)
				}
				l.Run(15 * time.Minute)
				if !Up(g, c) {
					t.Errorf("%v late: not up: %v", late, c.Engine.Status())
				}
				noTrouble(t, l)
			}
		})
	}
}

// TestRefusedWithoutPolicies: what a peer makes of a rekeying is taken, though
// the configuration has nothing any more.
func TestRefusedWithoutPolicies(t *testing.T) {
	_, g, s := alone(t, nil)
	f, err := Establish(g, s)
	if err != nil {
		t.Fatal(err)
	}
	g.Command(exchange.RekeyChild{ID: g.Established()[0].Children[0].ID})
	cfg := g.Config
	cfg.Policies, cfg.Entries = nil, nil
	if err := g.Engine.Configure(&cfg); err != nil {
		t.Fatal(err)
	}
	f.Refuse(14) // NO_PROPOSAL_CHOSEN
	if len(g.Established()) != 1 {
		t.Error("the IKE SA has ended")
	}
}

package iketest

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// brittle is a source of randomness that fails once when it is told to: the
// engine panics.
type brittle struct {
	io.Reader
	broken bool
}

// Read implements io.Reader.
func (b *brittle) Read(p []byte) (int, error) {
	if b.broken {
		b.broken = false
		return 0, errors.New("no randomness")
	}
	return b.Reader.Read(p)
}

// TestFaultEndsOneSA: a panic in what concerns one IKE SA ends that SA, with its
// child SAs and its records, and is told; the others do not notice. An engine that
// is not isolated, as in tests, panics.
func TestFaultEndsOneSA(t *testing.T) {
	calls := map[string]func(g *Node, s exchange.Status){
		"command": func(g *Node, s exchange.Status) { g.Command(exchange.RekeyChild{ID: s.Children[0].ID}) },
		"time": func(g *Node, s exchange.Status) {
			g.lab.Now = s.Children[0].Expires.Add(-time.Minute)
			g.Do(func(out *exchange.Output) error { g.Engine.Expire(g.lab.Now, out); return nil })
		},
	}
	for name, call := range calls {
		for _, isolated := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				l, g, s := alone(t, nil)
				rand := &brittle{Reader: g.Config.Rand}
				cfg := g.Config
				cfg.Rand = rand
				if err := g.Engine.Configure(&cfg); err != nil {
					t.Fatal(err)
				}
				other := NewStranger(g, netip.MustParseAddrPort("192.0.2.55:500"))
				if !s.Connect() || !other.Connect() {
					t.Fatal("not connected")
				}
				all := g.Established()
				if len(all) != 2 {
					t.Fatal(all)
				}
				if isolated {
					g.Engine.Isolate()
				}
				rand.broken = true
				panicked := func() (p any) {
					defer func() { p = recover() }()
					call(g, all[0])
					return nil
				}()
				if isolated != (panicked == nil) {
					t.Fatalf("isolated %v, panic: %v", isolated, panicked)
				}
				if !isolated {
					return
				}
				var told []exchange.Fault
				for _, e := range g.Events {
					if f, ok := e.(exchange.Fault); ok {
						told = append(told, f)
					}
				}
				if len(told) != 1 || told[0].Peer.SPI == 0 || !strings.Contains(told[0].Reason, "internal error") ||
					len(told[0].Where) < 3 || g.Engine.Usage().Faults != 1 {
					t.Errorf("told: %+v", told)
				}
				if up := g.Established(); len(up) != 1 || len(g.Plane) != 1 || tally[exchange.IKEDown](g.Events) != 1 {
					t.Errorf("SAs left: %v, child SAs %v", up, g.Plane)
				}
				g.Kill()
				if up := g.Established(); len(up) != 1 {
					t.Errorf("SAs of the journal: %v", up)
				}
				noTrouble(t, l)
			})
		}
	}
}

// TestUnusableRecord: a record that cannot be applied costs its own SA, not the
// whole journal.
func TestUnusableRecord(t *testing.T) {
	_, g, s := alone(t, nil)
	other := NewStranger(g, netip.MustParseAddrPort("192.0.2.55:500"))
	if !s.Connect() || !other.Connect() {
		t.Fatal("not connected")
	}
	e, err := ike.New(&g.Config)
	if err != nil {
		t.Fatal(err)
	}
	e.Isolate()
	refused := 0
	for _, b := range g.Journal {
		r, err := ike.ParseRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == exchange.RecordChild && r.SPI == s.Peer {
			r.Child = nil // what nothing but a broken memory brings
		}
		if err := e.Replay(g.lab.Now, r); err != nil {
			refused++
		}
	}
	if all := e.Status(); refused != 1 || len(all) != 1 || all[0].Peer.SPI != other.Peer || len(all[0].Children) != 1 {
		t.Errorf("%d records refused, SAs %v", refused, all)
	}
}

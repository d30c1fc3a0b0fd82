//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestFailoverExchange kills the active node in the middle of an exchange: it
// has answered, but the answer is lost on the way, and the client's
// retransmission reaches the other node.
func TestFailoverExchange(t *testing.T) {
	p := startPair(t, lab.PairConfig{})
	group := p.site.Group

	for _, c := range []struct {
		name string
		ike  bool
	}{{"child rekeyed", false}, {"IKE SA rekeyed", true}} {
		t.Run(c.name, func(t *testing.T) {
			active, _ := p.Active(group)
			before := p.swan.ListSAs()
			p.notice(t, "killed while the client rekeys", func() {
				lost := p.client.Drop("out", lab.DropChildReply)
				if err := p.swan.Rekey("alice", c.ike); err != nil {
					t.Fatal(err)
				}
				p.answered(lost)
				p.Kill(active)
				lost.Heal()
				p.lab.Eventually("the client to have rekeyed", 15*time.Second, func() error {
					if now := p.swan.ListSAs(); spis(now, c.ike) == spis(before, c.ike) ||
						!strings.Contains(now, "state=ESTABLISHED") {
						return fmt.Errorf("its SAs are\n%s", now)
					}
					return nil
				})
			})
			p.revive(active)
		})
	}
	t.Run("IKE_AUTH", func(t *testing.T) { p.auth(t) })
	t.Run("NAT rebinding", func(t *testing.T) { p.rebinding(t) })
}

// answered waits until a filter has dropped an answer.
func (p *pair) answered(f *lab.Filter) {
	p.lab.Eventually("the gateway's answer", 10*time.Second, func() error {
		if !f.Dropped() {
			return fmt.Errorf("none was dropped")
		}
		return nil
	})
}

// spis are the SPIs in strongSwan's list: of IKE SAs, or of child SAs.
func spis(list string, ike bool) string {
	key := "spi-in="
	if ike {
		key = "initiator-spi="
	}
	var found []string
	for _, part := range strings.Split(list, key)[1:] {
		found = append(found, part[:8])
	}
	return strings.Join(found, " ")
}

// auth kills the active node when it has answered IKE_AUTH but its answer is
// lost: the survivor answers the retransmission.
func (p *pair) auth(t *testing.T) {
	active, other := p.Active(p.site.Group)
	ns := p.site.Client()
	wire := ns.CaptureHeaders("out")
	lost := ns.Drop("out", lab.DropAuthReply)
	s := ns.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{p.site.Conn("bob")}, RetransmitTries: 8})
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- s.Initiate("bob", 20*time.Second) }()
	p.answered(lost)
	p.Kill(active)
	lost.Heal()
	if err := <-done; err != nil {
		t.Fatalf("the client does not connect: %v", err)
	}
	if got := wire.Inits(began); got != 1 {
		t.Errorf("IKE_SA_INITs: got %d, want the one before node %s died", got, active.Port)
	}
	address := vip(t, s)
	ns.MustPing(lab.Ping{From: address, To: lab.PairInsideHost, Interval: 10 * time.Millisecond})
	if got := other.IKESAs(p.site.Context); len(got) != 2 {
		t.Errorf("IKE SAs on the survivor: got %d, want 2", len(got))
	}
	s.Stop()
	p.revive(active)
}

// rebinding kills the active node right after a client's router has forgotten
// its bindings, and again when the survivor has learnt where the client is now.
func (p *pair) rebinding(t *testing.T) {
	home, router := p.site.ClientBehindNAT()
	s, address := pairClient(t, p.site, home, "carol")
	behind := &pair{Pair: p.Pair, lab: p.lab, site: p.site, client: home, swan: s, address: address}
	for _, learnt := range []bool{false, true} {
		active, other := p.Active(p.site.Group)
		before := remotePort(t, active, p.site.Context, "carol")
		behind.notice(t, fmt.Sprintf("killed after a NAT rebinding, of which the survivor knows: %v", learnt), func() {
			router.Rebind()
			if learnt {
				p.lab.Eventually("the survivor to learn of the rebinding", lab.Patience, func() error {
					if now := remotePort(t, other, p.site.Context, "carol"); now == before {
						return fmt.Errorf("it has the client at %s still", now)
					}
					return nil
				})
			}
			p.Kill(active)
		})
		if after := remotePort(t, other, p.site.Context, "carol"); after == before {
			t.Errorf("the survivor has the client at %s, which was before the rebinding", after)
		}
		p.revive(active)
	}
	s.Stop()
}

// remotePort is where a node has the client with an identity.
func remotePort(t *testing.T, n *lab.PairNode, context, name string) string {
	t.Helper()
	for _, sa := range n.IKESAs(context) {
		if strings.HasPrefix(sa.RemoteID, name+"@") {
			return sa.Remote
		}
	}
	t.Fatalf("node %s has no IKE SA of %s", n.Port, name)
	return ""
}

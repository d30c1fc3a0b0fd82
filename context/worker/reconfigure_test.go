package worker

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/ike/identity"
)

// TestReconfigureConcerns: a session ends when its pools, networks or key are no
// longer its own, and stays when the change is about something else.
func TestReconfigureConcerns(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *spec.Tenant)
		want   string // in the log; "": it stays
	}{
		{"a lifetime", func(t *spec.Tenant) { t.IKEPolicies[0].Lifetime /= 2 }, ""},
		{"a larger pool", func(t *spec.Tenant) { t.Pools[0].End = t.Pools[0].End.Next() }, ""},
		{"another pool", func(t *spec.Tenant) {
			t.Pools[0].Start, t.Pools[0].End = netip.MustParseAddr("10.98.0.1"), netip.MustParseAddr("10.98.0.9")
		}, "its address is in none of its pools any more"},
		{"a key", func(t *spec.Tenant) { t.TunnelGroups[0].Remote = t.TunnelGroups[0].Local },
			"its pre-shared key was changed"},
		{"identities", func(t *spec.Tenant) {
			t.TunnelGroups[0].RemoteIdentities = []identity.Pattern{identity.MustParsePattern("*@elsewhere")}
		}, "does not take its peer any more"},
		{"the protocol", func(t *spec.Tenant) {
			t.GroupPolicies = append(t.GroupPolicies, spec.GroupPolicy{Name: "none"})
			t.TunnelGroups[0].Policy = "none"
		}, "its group policy does not allow ikev2 any more"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := esptest.NewNet()
				tenant := gatewayTenant(4)
				gateway := newHost(t, net, tenant, gatewayAddr)
				gateway.start()
				alice := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
				alice.start()
				time.Sleep(1500 * time.Millisecond)
				alice.assigned()
				next := *tenant
				next.IKEPolicies = append([]spec.IKEPolicy(nil), tenant.IKEPolicies...)
				next.Pools = append([]spec.Pool(nil), tenant.Pools...)
				next.TunnelGroups = append([]spec.TunnelGroup(nil), tenant.TunnelGroups...)
				tt.change(&next)
				if err := gateway.worker.Reconfigure(t.Context(), &next, false); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				ended := gateway.logs.contains("IKE SA ended")
				if ended != (tt.want != "") || !gateway.logs.contains(tt.want) {
					t.Errorf("ended: %v, want %q", ended, tt.want)
				}
				alice.stop()
				gateway.stop()
			})
		})
	}
}

// TestReconfiguredStandbyKeepsHabits: a standby that still has a session which has ended
// at its twin keeps the address for its identity, also with another configuration.
func TestReconfiguredStandbyKeepsHabits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, testGateway)
		alice := p.newClient(2, "alice@example")
		had := alice.assigned()
		p.change(0) // node 0 is the standby, with the session of its own journal
		p.awaitStep(1)
		alice.stop()
		if _, err := p.nodes[1].worker.Order(context.Background(), control.Logoff{All: true}, logoff); err != nil {
			t.Fatal(err)
		}
		for len(p.nodes[1].established()) > 0 {
			time.Sleep(time.Second)
		}
		p.cut()
		p.serve(1) // another stream: the standby gets a snapshot
		p.join()
		p.awaitStep(1)
		if err := p.nodes[0].worker.Reconfigure(context.Background(), testGateway(), false); err != nil {
			t.Fatal(err)
		}
		p.kill(1)
		p.serve(0)
		bob := p.newClient(3, "bob@example")
		if got := bob.assigned(); got == had {
			t.Errorf("bob has %s, which is kept for alice", got)
		}
		alice = p.newClient(2, "alice@example")
		if got := alice.assigned(); got != had {
			t.Errorf("alice has %s, had %s", got, had)
		}
		alice.stop()
		bob.stop()
		p.stop()
	})
}

package worker

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/ike/exchange"
)

// device is a client that logs in when it is told to, and not again by itself.
func device(t *testing.T, net *esptest.Net, host int, identity string) *host {
	addr := fmt.Sprintf("198.51.100.%d", host)
	tenant := clientTenant(addr, identity)
	tenant.CryptoMaps[0].Entries[0].Initiate = false
	d := newHost(t, net, tenant, addr)
	d.start()
	return d
}

// login connects a device and gives it a second.
func (h *host) login() {
	h.t.Helper()
	h.in(func(now time.Time, w *Worker) { w.command(now, exchange.Initiate{Entry: "hub"}) })
	time.Sleep(time.Second)
}

// TestLogins has three devices of one identity log in, one after the other. The
// first one has traffic last.
func TestLogins(t *testing.T) {
	for _, tt := range []struct {
		logins int
		unique spec.Unique
		stay   string // which stand when the third has tried
		log    string
	}{
		{3, spec.UniqueReplace, "[0 1 2]", ""},
		{spec.UnlimitedLogins, spec.UniqueKeep, "[0 1 2]", ""},
		{2, spec.UniqueReplace, "[0 2]", "the same user has logged in again"},
		{2, spec.UniqueKeep, "[0 1]", "unique keeps them"},
		{2, spec.UniqueNever, "[0 1]", "unique keeps them"},
		{1, spec.UniqueReplace, "[2]", "the same user has logged in again"},
		{0, spec.UniqueReplace, "[]", "nobody may log in"},
	} {
		t.Run(fmt.Sprint(tt.logins, " ", tt.unique), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := esptest.NewNet()
				tenant := gatewayTenant(8)
				tenant.GroupPolicies[0].SimultaneousLogins, tenant.TunnelGroups[0].Unique = tt.logins, tt.unique
				gateway := newHost(t, net, tenant, gatewayAddr)
				gateway.start()
				var devices []*host
				for i := range 3 {
					d := device(t, net, i+2, "alice@example")
					devices = append(devices, d)
					d.login()
					if i == 1 && len(devices[0].established()) > 0 &&
						!ping(devices[0], gateway, devices[0].assigned()) {
						t.Error("no traffic of the first device")
					}
					time.Sleep(2 * time.Second)
				}
				stay := []int{}
				for i, d := range devices {
					if len(d.established()) > 0 {
						stay = append(stay, i)
					}
				}
				if got := fmt.Sprint(stay); got != tt.stay {
					t.Errorf("%s stand, want %s", got, tt.stay)
				}
				if n := len(gateway.facts().Sessions); n != len(stay) {
					t.Errorf("%d sessions, want %d", n, len(stay))
				}
				if !gateway.logs.contains(tt.log) {
					t.Errorf("the log has no %q", tt.log)
				}
				for _, d := range devices {
					d.stop()
				}
				gateway.stop()
			})
		})
	}
}

// TestClientThatAsksForNoAddress opens no session.
func TestClientThatAsksForNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(1), gatewayAddr)
		gateway.start()
		d := device(t, net, 2, "alice@example")
		d.tenant.CryptoMaps[0].Entries[0].RequestAddress = false
		d.tenant.CryptoMaps[0].Entries[0].Local = []netip.Prefix{netip.MustParsePrefix("198.51.100.2/32")}
		d.stop()
		d.start()
		d.login()
		if f := gateway.facts(); len(f.Sessions) != 0 || len(f.IKESAs) > 0 && len(f.IKESAs[0].ChildSAs) != 0 {
			t.Errorf("sessions %+v, SAs %+v", f.Sessions, f.IKESAs)
		}
		if !gateway.logs.contains("peer asks for no address") {
			t.Error("the log does not say why")
		}
		// A pool that is used up: the one who comes too late is no session either.
		bob, carol := device(t, net, 3, "bob@example"), device(t, net, 4, "carol@example")
		bob.login()
		carol.login()
		if f := gateway.facts(); len(f.Sessions) != 1 || f.Sessions[0].User != "bob@example" {
			t.Errorf("sessions %+v", f.Sessions)
		}
		for _, h := range []*host{d, bob, carol, gateway} {
			h.stop()
		}
	})
}

// TestHabits: a client gets the address that it had before, whatever has happened
// meanwhile: a changed configuration, another worker, another node.
func TestHabits(t *testing.T) {
	leave := func(h *host) {
		if _, err := h.worker.Order(context.Background(), control.Logoff{All: true}, logoff); err != nil {
			h.t.Fatal(err)
		}
		time.Sleep(time.Second)
		h.stop()
	}
	for _, tt := range []struct {
		name   string
		happen func(t *testing.T, p *pair)
	}{
		{"nothing", func(*testing.T, *pair) {}},
		{"reload", func(t *testing.T, p *pair) {
			if err := p.nodes[0].worker.Reconfigure(context.Background(), gatewayTenant(6), false); err != nil {
				t.Fatal(err)
			}
		}},
		{"another worker", func(t *testing.T, p *pair) {
			p.nodes[0].stop()
			p.nodes[0].start()
			p.serve(0)
		}},
		{"another node", func(t *testing.T, p *pair) { p.kill(0); p.serve(1) }},
		{"there and back", func(t *testing.T, p *pair) {
			p.follow(0)
			p.serve(1)
			p.join()
			p.awaitStep(1)
			p.follow(1)
			p.serve(0)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, func() *spec.Tenant { return gatewayTenant(4) })
				first := p.newClient(2, "alice@example")
				had := first.assigned()
				leave(first)
				tt.happen(t, p)
				bob := p.newClient(3, "bob@example")
				if got := bob.assigned(); got == had {
					t.Errorf("bob got %s, which alice had", got)
				}
				again := p.newClient(4, "alice@example")
				if got := again.assigned(); got != had {
					t.Errorf("alice got %s, had %s", got, had)
				}
				bob.stop()
				again.stop()
				p.stop()
			})
		})
	}
}

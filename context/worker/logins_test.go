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
		{2, spec.UniqueReplace, "[0 2]", reasonReplaced},
		{2, spec.UniqueKeep, "[0 1]", "unique keeps them"},
		{2, spec.UniqueNever, "[0 1]", "unique keeps them"},
		{1, spec.UniqueReplace, "[2]", reasonReplaced},
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
					if i == 1 && len(devices[0].established()) > 0 && !ping(devices[0], gateway, devices[0].assigned()) {
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

// TestLoginOfAnotherGroup: the same name in another tunnel group is another's.
func TestLoginOfAnotherGroup(t *testing.T) {
	s := newSessions()
	for i, profile := range []string{"a", "b", "a"} {
		s.add(s.open(exchange.Peer{SPI: uint64(i + 1), RemoteID: "alice@example", Profile: profile}, time.Unix(int64(i), 0)))
	}
	if mine := s.of(exchange.Peer{RemoteID: "alice@example", Profile: "a"}); len(mine) != 2 || mine[0].id != 1 || mine[1].id != 3 {
		t.Errorf("%d sessions", len(mine))
	}
}

// TestMakeBeforeBreak: a device that logs in again before it logs out keeps its
// address, counts once, and cannot do so without end.
func TestMakeBeforeBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := gatewayTenant(2)
		tenant.GroupPolicies[0].SimultaneousLogins, tenant.TunnelGroups[0].Unique = 1, spec.UniqueKeep
		tenant.Limits.Sessions, tenant.Limits.BurstSessions = 3, -1
		gateway := newHost(t, esptest.NewNet(), tenant, gatewayAddr)
		gateway.start()
		peer := func(spi uint64) exchange.Peer {
			return exchange.Peer{SPI: spi, RemoteID: "alice@example", Profile: "DefaultRAGroup"}
		}
		address := netip.MustParseAddr("10.99.0.10")
		login := func(spi uint64, wanted netip.Addr, replaces ...uint64) (refused exchange.Refusal, addresses string) {
			gateway.in(func(now time.Time, w *Worker) {
				q := exchange.AskSession{Peer: peer(spi), RemoteAccess: true, WantIPv4: true, WantedIPv4: wanted, Replaces: replaces}
				attrs, _ := w.policies.Resolve("DefaultRAGroup")
				l := w.login(q, attrs)
				if l.tooMany() || w.sessions.remoteAccess.judge(int64(len(l.ending)+len(l.followed))) == refuse {
					refused = exchange.RefuseLimit
					return
				}
				r := w.grant(now, q, attrs, l)
				refused, addresses = r.Refuse, fmt.Sprint(r.Session.Addresses)
			})
			return refused, addresses
		}
		release := func(spi uint64) { gateway.in(func(_ time.Time, w *Worker) { w.release(spi) }) }
		leased := func() (n int) {
			gateway.in(func(_ time.Time, w *Worker) { n = w.pools.Usage()[0].Leased })
			return n
		}

		if r, a := login(1, netip.Addr{}); r != exchange.RefuseNone || a != "[10.99.0.10]" {
			t.Fatalf("first login: %v, %s", r, a)
		}
		if r, _ := login(2, netip.Addr{}); r != exchange.RefuseLimit {
			t.Errorf("another device: %v, want it refused", r)
		}
		if r, a := login(3, address); r != exchange.RefuseNone || a != "[10.99.0.10]" {
			t.Errorf("the same device: %v, %s", r, a)
		}
		release(1)
		if n := leased(); n != 1 {
			t.Errorf("the address went with the first session: %d leased", n)
		}
		if r, a := login(4, address); r != exchange.RefuseNone || a != "[10.99.0.10]" {
			t.Errorf("once more: %v, %s", r, a)
		}
		if r, a := login(5, address); r != exchange.RefuseNone || a != "[10.99.0.10]" {
			t.Errorf("without an end of the earlier ones: %v, %s", r, a)
		}
		gateway.in(func(_ time.Time, w *Worker) {
			if s := w.sessions.bySPI; s[3].ending == "" || s[4].ending != "" || s[4].followed.IsZero() || s[5].ending != "" || !s[5].followed.IsZero() {
				t.Errorf("sessions are %+v, %+v, %+v: want the first of three to end", s[3], s[4], s[5])
			}
		})
		time.Sleep(followedLife + 2*time.Second)
		gateway.in(func(_ time.Time, w *Worker) {
			if w.sessions.bySPI[4].ending == "" {
				t.Error("two sessions have one address for ever")
			}
		})
		for _, spi := range []uint64{3, 4, 5} {
			release(spi)
		}
		if n := leased(); n != 0 {
			t.Errorf("%d leased at the end", n)
		}

		// A device that has lost its SAs, and says so, gets the address that it had.
		login(6, netip.Addr{})
		if r, a := login(7, netip.Addr{}, 6); r != exchange.RefuseNone || a != "[10.99.0.10]" {
			t.Errorf("after INITIAL_CONTACT: %v, %s", r, a)
		}
		gateway.stop()
	})
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
		if _, err := h.worker.Logoff(context.Background(), control.Logoff{All: true}); err != nil {
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
			if err := p.nodes[0].worker.Reconfigure(context.Background(), gatewayTenant(6)); err != nil {
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

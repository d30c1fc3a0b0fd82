package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/resource"
)

// sharer answers claims from a rest of its own, after a while.
type sharer struct {
	mu     sync.Mutex
	rest   resource.Rest
	claims []control.Claim
	broken bool
}

func (s *sharer) claim(_ context.Context, c control.Claim) (control.Grant, error) {
	time.Sleep(5 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims = append(s.claims, c)
	if s.broken {
		return control.Grant{}, errors.New("no")
	}
	return control.Grant{Most: s.rest.Claim("blue", c.Held, c.More, 0)}, nil
}

func (s *sharer) meter() resource.Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rest.Meter()
}

// usageRow returns a row of `show resource usage`.
func (h *host) usageRow(name resource.Name) control.Resource {
	h.t.Helper()
	for _, r := range h.facts().Resources {
		if r.Resource == string(name) {
			return r
		}
	}
	h.t.Fatalf("there is no row %s", name)
	return control.Resource{}
}

// TestBurst has a context that is promised two sessions and may have more of a
// rest of two: of five clients that come at once, four are served. A client
// that leaves gives its place back, and a worker that is replaced is counted
// as before.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		tenant := gatewayTenant(8)
		tenant.Limits.Sessions, tenant.Limits.BurstSessions = 2, 0
		sv := &sharer{}
		sv.rest.Resize(2)
		gateway := newHost(t, net, tenant, gatewayAddr)
		gateway.claim = sv.claim
		gateway.start()
		var clients []*host
		for i := range 5 {
			addr := fmt.Sprintf("198.51.100.%d", i+2)
			c := newHost(t, net, clientTenant(addr, fmt.Sprintf("user%d@example", i)), addr)
			c.start()
			clients = append(clients, c)
		}
		time.Sleep(500 * time.Millisecond)
		served := func() (n int) {
			for _, c := range clients {
				if len(c.established()) > 0 && len(c.established()[0].ChildSAs) > 0 {
					n++
				}
			}
			return n
		}
		if n := served(); n != 4 {
			t.Fatalf("%d clients are served, want 4", n)
		}
		check := func(when string, within, beyond, denied int64) {
			t.Helper()
			a, b := gateway.usageRow(resource.Sessions), gateway.usageRow(resource.BurstSessions)
			if a.Current != within || a.Limit != 2 || b.Current != beyond || b.Limit != 0 || b.Denied < denied ||
				a.Denied != 0 {
				t.Errorf("%s: %+v and %+v", when, a, b)
			}
		}
		check("all have come", 2, 2, 1)
		if !gateway.logs.contains("nothing is left of what the contexts share") ||
			!gateway.logs.contains("resource=vpn_burst_anyconnect") {
			t.Error("the log does not say what was reached")
		}

		gateway.stop()
		gateway.start()
		time.Sleep(1500 * time.Millisecond)
		check("another worker", 2, 2, 0)
		if m := sv.meter(); m.Current != 2 {
			t.Errorf("the supervisor counts %+v, want 2", m)
		}

		for i, c := range clients {
			if len(c.established()) > 0 {
				if err := c.worker.Goodbye(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.stop()
				clients = slices.Delete(clients, i, i+1)
				break
			}
		}
		time.Sleep(2 * time.Minute) // the fifth client tries again
		if n := served(); n != 4 {
			t.Errorf("after one has left: %d clients are served, want 4", n)
		}
		for _, h := range append(clients, gateway) {
			h.stop()
		}
	})
}

// TestBurstGivenBack: what nobody uses any more goes back within seconds.
func TestBurstGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		sv := &sharer{}
		sv.rest.Resize(1000)
		gateway.claim = sv.claim
		gateway.start()
		alice := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		alice.start()
		time.Sleep(100 * time.Millisecond)
		if m := sv.meter(); m.Current < 1 {
			t.Errorf("granted: %+v", m)
		}
		time.Sleep(5 * time.Second)
		if m := sv.meter(); m.Current != 1 {
			t.Errorf("what was granted ahead is kept: %+v", m)
		}
		if r := gateway.usageRow(resource.Sessions); r.Current != 1 || r.Limit != 0 {
			t.Errorf("an unlimited context: %+v", r)
		}
		if err := alice.worker.Goodbye(t.Context()); err != nil {
			t.Fatal(err)
		}
		alice.stop()
		time.Sleep(5 * time.Second)
		if m := sv.meter(); m.Current != 0 {
			t.Errorf("after the session: %+v", m)
		}
		sv.mu.Lock()
		sv.broken = true
		sv.mu.Unlock()
		bob := newHost(t, net, clientTenant("198.51.100.3", "bob@example"), "198.51.100.3")
		bob.start()
		time.Sleep(time.Second)
		if r := gateway.usageRow(resource.Sessions); r.Current != 0 || r.Denied == 0 {
			t.Errorf("the supervisor has refused: %+v", r)
		}
		bob.stop()
		gateway.stop()
	})
}

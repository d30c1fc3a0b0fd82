package tenants

import (
	"errors"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// tenantOf is a context with limits.
func tenantOf(name string, l spec.Limits) *plan.Wanted {
	return &plan.Wanted{Tenant: configs.Tenant{Name: name, Class: "gold", Spec: &spec.Tenant{Name: name, Limits: l}}}
}

func TestRests(t *testing.T) {
	r := newRests()
	totals := resource.Totals{resource.Sessions: 100, resource.SiteToSite: 10}
	blue := tenantOf("blue", spec.Limits{Sessions: 60, BurstSessions: 5, BurstSiteToSite: resource.None})
	red := tenantOf("red", spec.Limits{Sessions: 32, SiteToSite: 4})
	r.resize(totals, []*plan.Wanted{blue, red})
	for i, step := range []struct {
		tenant, name     string
		held, more, want int64
	}{
		{"blue", "vpn_burst_anyconnect", 0, 9, 5}, // its class allows no more
		{"red", "vpn_burst_anyconnect", 0, 9, 3},  // no more is left
		{"red", "vpn_burst_anyconnect", 1, 0, 1},
		{"red", "vpn_burst_other", 0, 7, 6},
		{"blue", "vpn_burst_other", 9, 1, 0},
		{"blue", "vpn_burst_anyconnect", 1 << 60, 1 << 60, 5}, // a worker that lies
	} {
		g, err := r.claim(step.tenant, control.Claim{Resource: step.name, Held: step.held, More: step.more})
		if err != nil || g.Most != step.want {
			t.Errorf("step %d: got %d, %v; want %d", i, g.Most, err, step.want)
		}
	}
	for _, bad := range []control.Claim{{Resource: "vpn_anyconnect"}, {Resource: "cpu", Held: 1}, {}} {
		if g, err := r.claim("blue", bad); err == nil {
			t.Errorf("claim %+v: %+v", bad, g)
		}
	}
	if g, err := r.claim("nobody", control.Claim{Resource: "vpn_burst_other", More: 1}); err == nil {
		t.Errorf("a context that there is not: %+v", g)
	}

	rows := (&Tenants{env: &env{rests: r}}).Shared()
	if len(rows) != 2 || rows[0].Context != "system" || rows[0].Limit != 8 || rows[0].Current != 6 ||
		rows[0].Denied == 0 || rows[1].Limit != 6 {
		t.Errorf("rows of the system: %+v", rows)
	}
	r.resize(totals, []*plan.Wanted{red})
	g, err := r.claim("red", control.Claim{Resource: "vpn_burst_anyconnect", Held: 1, More: 60})
	if err != nil || g.Most != 61 {
		t.Errorf("after blue has gone: %+v, %v; want 61", g, err)
	}
}

// TestEnter lets two requests about a context be answered at once.
func TestEnter(t *testing.T) {
	s := New(&Config{})
	blue := &tenant{env: s.env, name: "blue", want: tenantOf("blue", spec.Limits{APISessions: 2})}
	s.byName["blue"] = blue
	var leave []func()
	for range 2 {
		f, err := s.Enter("blue")
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, f)
	}
	_, err := s.Enter("blue")
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.CodeRefused || !strings.Contains(e.Reason, "api_sessions") ||
		!strings.Contains(e.Reason, `"gold"`) {
		t.Errorf("the third request: %v", err)
	}
	leave[0]()
	f, err := s.Enter("blue")
	if err != nil {
		t.Error(err)
	}
	f()
	leave[1]()
	want := control.Resource{Context: "blue", Resource: "api_sessions", Unit: resource.Count, Peak: 2, Limit: 2,
		Denied: 1}
	if got := blue.counted(blue.view())[0]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := s.Enter("nobody"); err != nil {
		t.Errorf("a context that there is not: %v", err)
	}
}

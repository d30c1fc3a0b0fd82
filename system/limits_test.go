package system

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// member is a context with limits.
func tenantOf(name string, l spec.Limits) *plan.Wanted {
	return &plan.Wanted{Tenant: configs.Tenant{Name: name, Class: "gold", Spec: &spec.Tenant{Name: name, Limits: l}}}
}

func TestRests(t *testing.T) {
	r := newRests()
	totals := resource.Totals{resource.Sessions: 100, resource.SiteToSite: 10}
	blue := tenantOf("blue", spec.Limits{Sessions: 60, BurstSessions: 5, BurstSiteToSite: resource.None})
	red := tenantOf("red", spec.Limits{Sessions: 32, SiteToSite: 4})
	r.set(totals, []*plan.Wanted{blue, red})
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

	rows := (&System{rests: r}).Shared()
	if len(rows) != 2 || rows[0].Context != "system" || rows[0].Limit != 8 || rows[0].Current != 6 || rows[0].Denied == 0 || rows[1].Limit != 6 {
		t.Errorf("rows of the system: %+v", rows)
	}
	r.set(totals, []*plan.Wanted{red})
	g, err := r.claim("red", control.Claim{Resource: "vpn_burst_anyconnect", Held: 1, More: 60})
	if err != nil || g.Most != 61 {
		t.Errorf("after blue has gone: %+v, %v; want 61", g, err)
	}
}

// TestEnter lets two requests about a context be answered at once.
func TestEnter(t *testing.T) {
	s := &System{tenants: map[string]*tenant{}}
	blue := &tenant{sys: s, name: "blue", want: tenantOf("blue", spec.Limits{APISessions: 2})}
	s.tenants["blue"] = blue
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
	if !errors.As(err, &e) || e.Code != fault.CodeRefused || !strings.Contains(e.Reason, "api_sessions") || !strings.Contains(e.Reason, `"gold"`) {
		t.Errorf("the third request: %v", err)
	}
	leave[0]()
	f, err := s.Enter("blue")
	if err != nil {
		t.Error(err)
	}
	f()
	leave[1]()
	want := control.Resource{Context: "blue", Resource: "api_sessions", Unit: control.UnitCount, Peak: 2, Limit: 2, Denied: 1}
	if got := blue.counted(blue.view())[0]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := s.Enter("nobody"); err != nil {
		t.Errorf("a context that there is not: %v", err)
	}
}

// TestRefusalsAreLogged refuses requests, and looks for the class in the log,
// once in a minute.
func TestRefusalsAreLogged(t *testing.T) {
	var log bytes.Buffer
	s := &System{tenants: map[string]*tenant{}, disks: disks.New(&disks.Config{StateDir: t.TempDir()})}
	blue := &tenant{
		sys: s, name: "blue", want: tenantOf("blue", spec.Limits{APISessions: 1}), notices: map[resource.Name]*resource.Notice{},
		log: slog.New(slog.NewTextHandler(&log, nil)).With("tenant", "blue"),
	}
	s.tenants["blue"] = blue
	now := time.Now()
	blue.watchLimits(now, true)
	leave, err := s.Enter("blue")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 90 {
		s.Enter("blue")
		blue.watchLimits(now.Add(time.Duration(i)*time.Second), true)
	}
	leave()
	got := log.String()
	if n := strings.Count(got, "\n"); n != 2 {
		t.Errorf("%d lines in 90 seconds, want 2:\n%s", n, got)
	}
	for _, part := range []string{"tenant=blue", "class=gold", "resource=api_sessions", "limit=1", "count=1\n", "count=60\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
}

func TestRowsInOrder(t *testing.T) {
	var rows []control.Resource
	for _, k := range resource.Kinds() {
		rows = append([]control.Resource{{Resource: string(k.Name), Unit: unitOf(k.Name)}}, rows...)
	}
	inOrder(rows)
	for i, k := range resource.Kinds() {
		if rows[i].Resource != string(k.Name) {
			t.Errorf("row %d is %s, want %s", i, rows[i].Resource, k.Name)
		}
	}
}

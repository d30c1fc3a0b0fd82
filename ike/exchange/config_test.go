package exchange

import (
	"net/netip"
	"testing"
	"time"
)

func TestConfigWithDefaults(t *testing.T) {
	got := Config{MaxHalfOpen: 7, RetransmitBase: time.Second}.WithDefaults()
	if got.MaxHalfOpen != 7 || got.RetransmitBase != time.Second {
		t.Errorf("what was set has changed: %+v", got)
	}
	if got.Rand == nil || got.CookieThreshold != DefaultCookieThreshold ||
		got.HalfOpenTimeout != DefaultHalfOpenTimeout ||
		got.RetransmitFactor != DefaultRetransmitFactor || got.RetransmitTries != DefaultRetransmitTries {
		t.Errorf("something was left zero: %+v", got)
	}
}

// TestConfigStatic: an entry is dialled from an address of its peer's family, and
// dynamic ones are never dialled.
func TestConfigStatic(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	c := Config{Entries: []Entry{
		{Name: "site", Local: v6, Peer: v4}, {Name: "site", Local: v4, Peer: v4},
		{Name: "any", Dynamic: true}, {Name: "unbound", Peer: v6},
	}}
	for _, tt := range []struct {
		name  string
		local netip.Addr
		ok    bool
	}{{"site", v4, true}, {"any", netip.Addr{}, false}, {"unbound", netip.Addr{}, true},
		{"none", netip.Addr{}, false}} {
		if e, ok := c.Static(tt.name); ok != tt.ok || e.Local != tt.local {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, e.Local, ok, tt.local, tt.ok)
		}
	}
}

func TestPhases(t *testing.T) {
	for phase, want := range map[Phase][2]bool{
		PhaseDialling: {false, false}, PhaseHalfOpen: {true, false}, PhaseAsking: {true, false},
		PhaseRejected:    {true, false},
		PhaseEstablished: {false, true}, PhaseEnding: {false, true}, PhaseDead: {false, false},
	} {
		if phase.HalfOpen() != want[0] || phase.Standing() != want[1] {
			t.Errorf("phase %d: half-open %v, standing %v", phase, phase.HalfOpen(), phase.Standing())
		}
	}
}

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
	for phase, halfOpen := range map[Phase]bool{
		PhaseDialling: false, PhaseHalfOpen: true, PhaseAsking: true, PhaseRejected: true,
		PhaseEstablished: false, PhaseEnding: false, PhaseDead: false,
	} {
		if phase.HalfOpen() != halfOpen {
			t.Errorf("phase %d: half-open %v", phase, phase.HalfOpen())
		}
	}
}

package lifecycle

import (
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestPairFixed: what of failover a reload may change, and what not.
func TestPairFixed(t *testing.T) {
	pairOf := func(edit func(*configs.System)) *configs.System {
		conf := &configs.System{
			Failover: &configs.Failover{
				Unit: failover.UnitPrimary, Key: secret.Copy([]byte("the key of the pair")), Poll: time.Second,
				Hold: 3 * time.Second,
				Links: []configs.FailoverLink{{Name: "direct", Interface: "Ethernet0/9",
					Address: netip.MustParsePrefix("192.168.255.1/30"),
					Peer:    netip.MustParseAddr("192.168.255.2")}},
				Groups: []configs.FailoverGroup{{Name: "1", Prefer: failover.UnitPrimary}},
			},
		}
		if edit != nil {
			edit(conf)
		}
		return conf
	}
	is := pairOf(nil)
	if err := pairFixed(is, pairOf(nil)); err != nil {
		t.Errorf("the same: %v", err)
	}
	if err := pairFixed(is, pairOf(func(c *configs.System) { c.Failover.Groups[0].Preempt = true })); err != nil {
		t.Errorf("preempt: %v", err)
	}
	rotated := pairOf(func(c *configs.System) {
		c.Failover.Key, c.Failover.PreviousKey = secret.Copy([]byte("another key")), c.Failover.Key
	})
	if err := pairFixed(is, rotated); err != nil {
		t.Errorf("another key beside the present one: %v", err)
	}
	last := pairOf(func(c *configs.System) { c.Failover.Key = secret.Copy([]byte("another key")) })
	if err := pairFixed(rotated, last); err != nil {
		t.Errorf("without the previous key: %v", err)
	}
	for what, edit := range map[string]func(*configs.System){
		"unit": func(c *configs.System) { c.Failover.Unit = failover.UnitSecondary },
		"key":  func(c *configs.System) { c.Failover.Key = secret.Copy([]byte("another key")) },
		"hold": func(c *configs.System) { c.Failover.Hold *= 2 },
		"link": func(c *configs.System) { c.Failover.Links[0].Name = "other" },
		"device": func(c *configs.System) {
			c.Interfaces = []configs.Interface{{Name: "Ethernet0/9", Device: "eth9"}}
		},
	} {
		if err := pairFixed(is, pairOf(edit)); err == nil {
			t.Errorf("%s may change", what)
		}
	}
	alone := pairOf(nil)
	alone.Failover = nil
	if pairFixed(is, alone) == nil || pairFixed(alone, is) == nil || pairFixed(alone, alone) != nil {
		t.Error("a node alone cannot become one of a pair, nor the other way round")
	}
}

// TestGroupOfTheAPI: a group that the host does not have refuses a change.
func TestGroupOfTheAPI(t *testing.T) {
	r := newRig(t)
	r.edit("system.hcl", "system {", "system {\n  api { group = \"warren-none\" }")
	r.unchanged(func() error { _, err := r.Apply(t.Context(), operator, Apply{}); return err },
		`there is no group "warren-none"`)
	r.unchanged(func() error { _, err := r.Plan(t.Context(), Leniency{}); return err },
		`there is no group "warren-none"`)
}

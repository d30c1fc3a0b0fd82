//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestSwitchByHand switches ten times by hand under traffic both ways: most of the time no ping
// is lost, for the unit that was active lets packets through until the other one does, and neither
// unit takes that for a split brain.
func TestSwitchByHand(t *testing.T) {
	p := startPair(t, lab.PairConfig{})
	var without, lost int
	for range 10 {
		r := p.noticeSwitch(t, "a switch by hand", func() { p.Switch(p.site.Group) })
		n := r.Pings[0].Lost() + r.Pings[1].Lost()
		if n == 0 {
			without++
		}
		lost += n
		p.Whole()
	}
	t.Logf("%d of 10 switches lost no ping, all of them %d", without, lost)
	if without < 6 {
		t.Error("the aim is 10; what is lost by chance, on a busy machine, is not lost every other time")
	}
	for _, n := range p.Nodes {
		if strings.Contains(n.Log(), "split brain") {
			t.Errorf("the log of the %s unit:\n%s", n.Unit, n.Log())
		}
	}
}

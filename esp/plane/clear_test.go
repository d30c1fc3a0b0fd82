package plane_test

import (
	"testing"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// TestNoSAStands: what is given to the data plane and no SA covers is dropped,
// counted and told of, once a second at most; the kernel's own multicast is not.
func TestNoSAStands(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	lost := esptest.NewFlow("10.1.0.5:4000", "10.77.0.7:80")
	for range 20 {
		a.dev.Inject <- esptest.Plain(lost.UDP(make([]byte, 100)))
	}
	a.dev.Inject <- esptest.Super(lost.TCP(1, 0x10, nil, make([]byte, 50_000)), 1000)
	a.dev.Inject <- esptest.Plain(esptest.NewFlow("[2001:db8:1::5]:1", "[ff02::16]:1").UDP(make([]byte, 20)))
	until(t, "the drops", func() bool {
		s := a.Stats()
		return s.Sum(stats.DropClear) == 70 && s.Sum(stats.DropPolicy) == 1
	})
	until(t, "a report", func() bool { return a.count(plane.ReportClear) > 0 })
	r, _ := a.reported(plane.ReportClear)
	if r.Remote.Addr().String() != "10.77.0.7" || r.Local.Addr().String() != "10.1.0.5" {
		t.Errorf("reported %+v", r)
	}
	if n := a.count(plane.ReportClear); n > 3 {
		t.Errorf("%d reports of packets that came at once", n)
	}
	ca, _ := pair.Children()
	a.apply(t, sa.OpDelete, ca, 0)
	a.dev.Inject <- esptest.Plain(toB.UDP(make([]byte, 100)))
	until(t, "what lost its SA to be dropped", func() bool { return a.Stats().Sum(stats.DropClear) == 71 })
	if s := b.Stats(); s.Sum(stats.PacketsIn) > 0 || s.Sum(stats.DropSPI) > 0 {
		t.Errorf("something was sent: %+v", s)
	}
}

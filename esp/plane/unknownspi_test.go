package plane

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrenvpn/warren/esp/sa"
)

// TestStale: a line for each SPI and period, whatever comes.
func TestStale(t *testing.T) {
	var got []Report
	s := unknownSPIs{report: func(r Report) { got = append(got, r) }}
	at := netip.MustParseAddrPort("192.0.2.1:4500")
	packets := func(spi sa.SPI, n int) {
		for range n {
			s.packet(spi, at, at)
		}
	}
	want := func(name string, reports ...Report) {
		t.Helper()
		for i := range reports {
			reports[i].Kind = ReportUnknownSPI
			if reports[i].SPI != 0 {
				reports[i].Local, reports[i].Remote = at, at
			}
		}
		if diff := cmp.Diff(reports, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		got = nil
	}
	packets(7, 100)
	packets(8, 1)
	want("first seen", Report{SPI: 7, Count: 1}, Report{SPI: 8, Count: 1})
	s.endPeriod()
	want("a period later", Report{SPI: 7, Count: 99})
	packets(7, 5)
	packets(8, 2)
	want("8 was forgotten", Report{SPI: 8, Count: 1})
	s.endPeriod()
	want("both go on", Report{SPI: 7, Count: 5}, Report{SPI: 8, Count: 1})
	s.endPeriod()
	s.endPeriod()
	want("nothing came")
	for spi := range sa.SPI(1000) {
		packets(1000+spi, 1)
	}
	if len(got) != maxUnknown {
		t.Errorf("%d reports of 1000 SPIs, want %d", len(got), maxUnknown)
	}
	got = nil
	s.endPeriod()
	want("the others together", Report{Count: 1000 - maxUnknown})
	if n := testing.AllocsPerRun(100, func() { s.packet(2000, at, at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

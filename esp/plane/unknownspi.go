package plane

import (
	"net/netip"
	"sync"

	"github.com/warrenvpn/warren/esp/sa"
)

// maxUnknown is the number of unknown SPIs that are counted one by one.
const maxUnknown = 32

// unknownSPIs counts ESP packets for SPIs that no SA has: mostly of clients
// that do not know yet that their gateway was restarted. Each SPI is reported
// when it is first seen, and then once in each period, with a count, while
// packets come. Packets for SPIs beyond the first maxUnknown are counted
// together.
type unknownSPIs struct {
	mu     sync.Mutex // guards the following; it is taken once for each packet without an SA
	seen   [maxUnknown]unknownSPI
	n      int
	others uint64
	report func(Report)
}

// unknownSPI is one SPI, with the packets that came for it since its last
// report.
type unknownSPI struct {
	spi           sa.SPI
	local, remote netip.AddrPort
	count         uint64
}

// packet counts one packet for spi.
func (s *unknownSPIs) packet(spi sa.SPI, local, remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.seen[:s.n] {
		if x := &s.seen[i]; x.spi == spi {
			x.count++
			x.local, x.remote = local, remote
			return
		}
	}
	if s.n == maxUnknown {
		s.others++
		return
	}
	x := unknownSPI{spi: spi, local: local, remote: remote, count: 1}
	x.reportTo(s.report)
	s.seen[s.n] = x
	s.n++
}

// endPeriod reports the SPIs that were seen in the period that ends, and
// forgets the others.
func (s *unknownSPIs) endPeriod() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, x := range s.seen[:s.n] {
		if x.count > 0 {
			x.reportTo(s.report)
			s.seen[n] = x
			n++
		}
	}
	s.n = n
	if s.others > 0 {
		s.report(Report{Kind: ReportUnknownSPI, Count: s.others})
		s.others = 0
	}
}

// reportTo reports the SPI, and counts anew.
func (x *unknownSPI) reportTo(report func(Report)) {
	report(Report{Kind: ReportUnknownSPI, SPI: x.spi, Local: x.local, Remote: x.remote, Count: x.count})
	x.count = 0
}

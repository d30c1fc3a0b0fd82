package plane

import (
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
)

// ReportKind says what a Report is about.
type ReportKind uint8

// The kinds of reports.
const (
	// ReportMoved: authentic, new packets of Child come from Remote at Local,
	// which is not where the child is (RFC 7296 section 2.23). The plane changes
	// nothing by itself; OpMove does. It repeats while it is true, once a second
	// at most.
	ReportMoved ReportKind = iota + 1
	// ReportRekey: Child is near its volume limit or near the end of its
	// sequence numbers. It repeats while packets come, once a second at most.
	ReportRekey
	// ReportExpired: Child has reached its volume limit or its last sequence
	// number; a direction of it carries nothing more. It repeats while packets
	// come, once a second at most.
	ReportExpired
	// ReportReserve: Child has used three quarters of the way to the limit that
	// Slot.SetOutLimit set, or has reached it. It repeats once a second at most.
	ReportReserve
	// ReportUnknownSPI: Count ESP packets for SPI, which nobody has, came since
	// the last report about it, the last one from Remote to Local. An SPI is
	// reported when it is first seen, and then once a minute while packets come.
	// At most 32 SPIs are told apart; without SPI it is about all others together.
	ReportUnknownSPI
	// ReportPathMTU: the path MTU of Child is now MTU.
	ReportPathMTU
	// ReportClear: no SA stands for a packet from the address of Local to that of
	// Remote, which was dropped. One a second at most is reported.
	ReportClear
)

// Report is one thing that the owner of the SAs should know. Only the fields
// that its Kind names are set.
type Report struct {
	Kind          ReportKind
	Child         uint64 // ID
	Local, Remote netip.AddrPort
	Encap         sa.Encap // ReportMoved: how the packets came
	SPI           sa.SPI
	Count         uint64
	MTU           int
}

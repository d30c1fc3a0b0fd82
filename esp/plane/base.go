package plane

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/esp/stats"
)

const (
	reportQueue = 256 // what Report may be late by; more are counted and dropped
	// housekeeping is how often old path MTUs are looked at, and how often what
	// comes for an unknown SPI is reported.
	housekeeping = time.Minute
)

// base is what the TUN side of a plane and its carriers share.
type base struct {
	log     *slog.Logger
	now     func() time.Time
	muted   atomic.Bool
	stopped atomic.Bool // devices and sockets are closed on purpose
	options atomic.Pointer[Options]
	setting sync.Mutex // makes one caller at a time of SetOptions
	other   counters   // of what belongs to no pipeline
	owner   func(Report)
	reports chan Report
}

func newBase(c *Config) *base {
	b := &base{log: c.Log, now: c.Now, owner: c.Report, reports: make(chan Report, reportQueue)}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.muted.Store(c.Muted)
	options := c.Options
	b.options.Store(&options)
	return b
}

// report queues a report to the owner of the SAs.
func (b *base) report(r Report) {
	if b.owner == nil {
		return
	}
	select {
	case b.reports <- r:
	default:
		b.other.add(stats.DropReports, 1)
	}
}

// deliverReports calls the owner for each report, housekeep now and then, and wake for
// each alarm, until done is closed.
func (b *base) deliverReports(done <-chan struct{}, housekeep func(), alarm <-chan time.Time, wake func()) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case r := <-b.reports:
			b.owner(r)
		case <-tick.C:
			housekeep()
		case <-alarm:
			wake()
		}
	}
}

// limiter lets a number of events pass in every second. Two goroutines at the
// turn of a second may let a few more pass.
type limiter struct {
	perSecond int64
	second    atomic.Int64
	passed    atomic.Int64
}

func (l *limiter) allow(now int64) bool {
	if l.second.Swap(now) != now {
		l.passed.Store(0)
	}
	return l.passed.Add(1) <= l.perSecond
}

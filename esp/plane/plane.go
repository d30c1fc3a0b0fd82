// Package plane is the data plane of one tenant: it moves packets between the
// TUN device and the outer sockets, through the SAs that it is given. It owns
// the sockets of IKE too, because UDP 4500 carries both: it hands IKE messages
// to a callback and sends them for the engine. It does I/O.
//
// Each TUN queue and each socket has one goroutine that runs every packet to
// completion: read a super-packet or a batch, find the SA once per run of
// packets, seal or open in place, send or deliver as super-packets. A child SA
// has a lock of its own for each direction, taken once per run; nothing else is
// locked on the way of a packet, and nothing is allocated. All goroutines
// belong to Run.
//
// RFC 3948 (UDP encapsulation), RFC 4301 section 8 (path MTU, DF), RFC 4303,
// RFC 6040 (ECN).
package plane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// Errors that callers of SendIKE tell apart.
var (
	ErrMuted    = errors.New("plane: muted")
	ErrNoSocket = errors.New("plane: no socket with this local address")
	ErrFull     = errors.New("plane: socket is full")
)

const (
	reportQueue = 256 // what Report may be late by; more are counted and dropped
	ikeQueue    = 64  // IKE messages that wait for a full socket
	// housekeeping is how often old path MTUs are looked at, and how often what
	// comes for an unknown SPI is reported.
	housekeeping = time.Minute
)

// Plane is a running data plane. All methods are safe for concurrent use.
type Plane struct {
	cfg      *Config
	log      *slog.Logger
	now      func() time.Time
	muted    atomic.Bool
	spis     esp.SPITable[child]
	policies esp.PolicyTable[child]
	taps     atomic.Pointer[[]Tap] // nil: none
	options  atomic.Pointer[Options]
	crew     *crew // nil: the pipelines seal and open
	reports  chan Report
	ike      chan ikeMessage
	ready    chan struct{}
	other    counters                // of what belongs to no pipeline
	rations  atomic.Pointer[rations] // nil: there is no bound
	rated    rateUse

	// mu guards what follows and makes one writer at a time of Apply for the
	// tables above. The pipelines do not take it.
	mu       sync.Mutex
	children map[uint64]*child
	peerSPIs map[sa.SPI][]*child // by the SPI of the peer, which two peers may choose alike
	outers   []*outer
	outs     []*outbound
	lowered  bool // some path MTU is not the highest
	stopped  bool
	wg       sync.WaitGroup
	fail     chan error

	unknown stale
	clear   limiter // reports about packets that no SA stands for
	tooBig  limiter // "too big" from our own kernel, which is about all child SAs with a peer
}

// outer is one outer socket with its pipeline.
type outer struct {
	Socket
	in *inbound
}

// ikeMessage waits for a full socket.
type ikeMessage struct {
	conn Conn
	m    Message
}

// New makes a plane from c and takes its devices and sockets over, even when it
// returns an error.
func New(c *Config) (*Plane, error) {
	p := &Plane{
		cfg: c, log: c.Log, now: c.Now,
		reports:  make(chan Report, reportQueue),
		ike:      make(chan ikeMessage, ikeQueue),
		ready:    make(chan struct{}),
		fail:     make(chan error, 1),
		children: make(map[uint64]*child),
		peerSPIs: make(map[sa.SPI][]*child),
		clear:    limiter{perSecond: 1},
		tooBig:   limiter{perSecond: 100},
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.unknown.report = p.report
	p.muted.Store(c.Muted)
	options := c.Options
	p.options.Store(&options)
	p.crew = newCrew(c.Crew, len(c.Devices))
	err := c.validate()
	for i, d := range c.Devices {
		if o, ok := d.(deviceOffloader); ok {
			o.SetOffload(!c.Options.NoTUNOffload)
		}
		out := &outbound{p: p, dev: d, index: i, batch: &batch{ready: make(chan struct{}, 1)}}
		if p.crew != nil {
			out.member = p.crew.size + i
		}
		p.outs = append(p.outs, out)
	}
	for i := range c.Sockets {
		if e := p.addLockedOuter(c.Sockets[i]); e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (c *Config) validate() error {
	switch {
	case c.Counters == nil:
		return errors.New("plane: no counter memory")
	case len(c.Devices) == 0:
		return errors.New("plane: no TUN device")
	}
	return c.Options.validate()
}

// Run moves packets until ctx ends or the devices fail, then closes devices and
// sockets and waits for its goroutines. It is called once.
func (p *Plane) Run(ctx context.Context) error {
	p.crew.start()
	p.mu.Lock()
	for _, o := range p.outs {
		p.startLocked(o.run)
	}
	for _, o := range p.outers {
		p.startLocked(o.in.run)
	}
	p.mu.Unlock()

	done := make(chan struct{})
	var background sync.WaitGroup
	background.Go(func() { p.deliverReports(done) })
	background.Go(func() { p.deliverIKE(done) })
	close(p.ready)

	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-p.fail:
	}
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.close()
	p.wg.Wait()
	p.crew.stop()
	close(done)
	background.Wait()
	return err
}

// startLocked starts a pipeline; one that fails while the plane is not stopped
// stops the plane.
func (p *Plane) startLocked(run func() error) {
	p.wg.Go(func() {
		if err := run(); err != nil {
			select {
			case p.fail <- err:
			default:
			}
		}
	})
}

// close closes devices and sockets, which ends their pipelines.
func (p *Plane) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.outs {
		o.dev.Close()
	}
	for _, o := range p.outers {
		o.Conn.Close()
	}
}

// Ready is closed when packets move.
func (p *Plane) Ready() <-chan struct{} { return p.ready }

// String names the task.
func (p *Plane) String() string { return "data plane" }

// Mute makes the plane silent, or lets it speak again. A muted plane keeps all
// SAs installed and up to date, but sends and delivers nothing, IKE included.
func (p *Plane) Mute(on bool) { p.muted.Store(on) }

// Stats returns the counters since New.
func (p *Plane) Stats() stats.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s stats.Counts
	p.other.addTo(&s)
	for _, o := range p.outs {
		o.stats.addTo(&s)
	}
	for _, o := range p.outers {
		o.in.stats.addTo(&s)
	}
	return s
}

func (p *Plane) addLockedOuter(s Socket) error {
	if s.Conn == nil {
		c, err := newSocket(&s, p.options.Load())
		if err != nil {
			return err
		}
		s.Conn, s.File = c, nil
	}
	o := &outer{Socket: s}
	device := p.outs[len(p.outers)%len(p.outs)].dev
	o.in = &inbound{p: p, outer: o, options: p.options.Load(), join: tun.NewCoalescer(device)}
	p.outers = append(p.outers, o)
	return nil
}

// outerLocked finds a socket by its address; one that is bound to every address
// serves where there is none for this one.
func (p *Plane) outerLocked(k Kind, local netip.AddrPort) *outer {
	var any *outer
	for _, o := range p.outers {
		switch {
		case o.Kind != k || k != KindESP && o.Local.Port() != local.Port():
		case o.Local.Addr() == local.Addr():
			return o
		case o.Local.Addr().IsUnspecified() && o.Local.Addr().Is4() == local.Addr().Is4():
			any = o
		}
	}
	return any
}

// SendIKE sends one IKE message from the socket bound to local; where that is a
// KindNATT socket it adds the non-ESP marker. A message of one byte 0xff on a
// KindNATT socket is a NAT keepalive and gets no marker. It never waits: it goes
// ahead of data that is waiting for the socket, in a queue of its own where the
// socket is full.
func (p *Plane) SendIKE(local, remote netip.AddrPort, payload []byte) error {
	if p.muted.Load() {
		p.other.count(stats.DropMuted, 1, len(payload))
		return ErrMuted
	}
	p.mu.Lock()
	o := p.outerLocked(KindNATT, local)
	if o == nil {
		o = p.outerLocked(KindIKE, local)
	}
	p.mu.Unlock()
	if o == nil || o.Local.Addr().Is4() != remote.Addr().Is4() {
		return fmt.Errorf("%w: %v to %v", ErrNoSocket, local, remote)
	}
	m := Message{Remote: remote, DF: o.Kind == KindNATT && len(payload) <= smallIKE}
	if o.Kind == KindNATT && (len(payload) != 1 || payload[0] != keepalive) {
		m.Data = append(append(make([]byte, 0, markerLen+len(payload)), 0, 0, 0, 0), payload...)
	} else {
		m.Data = append([]byte(nil), payload...)
	}
	p.other.add(stats.IKEOut, 1)
	err := o.Conn.TrySend(&m)
	if !errors.Is(err, ErrFull) {
		return err
	}
	select {
	case p.ike <- ikeMessage{o.Conn, m}:
		return nil
	default:
		return ErrFull
	}
}

// smallIKE is a size that every path carries whole, so that sending it needs no
// other setting of the socket than data does.
const smallIKE = 1200

// deliverIKE sends the IKE messages that found their socket full.
func (p *Plane) deliverIKE(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case m := <-p.ike:
			if _, err := m.conn.Send([]Message{m.m}); err != nil && !errors.Is(err, os.ErrClosed) {
				p.log.Warn("IKE not sent", "err", err)
			}
		}
	}
}

// report queues a report.
func (p *Plane) report(r Report) {
	if p.cfg.Report == nil {
		return
	}
	select {
	case p.reports <- r:
	default:
		p.other.add(stats.DropReports, 1)
	}
}

// deliverReports calls Config.Report, and keeps house.
func (p *Plane) deliverReports(done <-chan struct{}) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case r := <-p.reports:
			p.cfg.Report(r)
		case <-tick.C:
			p.raiseMTUs(p.now())
			p.unknown.turn()
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

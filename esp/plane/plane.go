// Package plane is the data plane of one tenant: it moves packets between the
// TUN device and carriers. Its TUN side finds the carrier of a packet, limits,
// counts, fragments, joins and shows packets, whatever carries them. ESP is one
// carrier (Apply): packets go through SAs to outer sockets. Others come with
// Attach. The plane owns the sockets of IKE too, because UDP 4500 carries both: it
// hands IKE messages to a callback and sends them for the engine. It does I/O.
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
	"net/netip"
	"sync"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// Errors that callers of SendIKE tell apart.
var (
	ErrMuted    = errors.New("plane: muted")
	ErrNoSocket = errors.New("plane: no socket with this local address")
	ErrFull     = errors.New("plane: socket is full")
)

// Plane is a running data plane. All methods are safe for concurrent use.
type Plane struct {
	*base
	tun   *tunSide
	esp   *espSide
	ready chan struct{}
	wg    sync.WaitGroup
	fail  chan error
}

// New makes a plane from c and takes its devices and sockets over, even when it
// returns an error.
func New(c *Config) (*Plane, error) {
	if err := c.validate(); err != nil {
		c.close(c.Sockets)
		return nil, err
	}
	b := newBase(c)
	t := newTUNSide(b, c.Devices)
	p := &Plane{base: b, tun: t, esp: newESPSide(b, t, c), ready: make(chan struct{}), fail: make(chan error, 1)}
	for i := range c.Sockets {
		if err := p.esp.addOuter(c.Sockets[i]); err != nil {
			p.esp.close()
			c.close(c.Sockets[i+1:])
			return nil, err
		}
	}
	return p, nil
}

// Run moves packets until ctx ends or the devices fail, then closes devices and
// sockets and waits for its goroutines. It is called once.
func (p *Plane) Run(ctx context.Context) error {
	p.esp.crew.start()
	for i, q := range p.tun.queues {
		p.start(func() error { return p.esp.egress[i].withMemory(q.run) })
	}
	for _, o := range p.esp.outers {
		p.start(o.in.run)
	}
	done := make(chan struct{})
	var background sync.WaitGroup
	background.Go(func() { p.deliverReports(done, p.esp.housekeep, p.esp.lateTimer.C, p.esp.endLate) })
	background.Go(func() { p.esp.deliverIKE(done) })
	close(p.ready)

	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-p.fail:
	}
	p.stopped.Store(true)
	p.close()
	p.wg.Wait()
	p.esp.crew.stop()
	close(done)
	background.Wait()
	return err
}

// start starts a pipeline; one that fails while the plane is not stopped stops
// the plane.
func (p *Plane) start(run func() error) {
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
	p.tun.close()
	p.esp.close()
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
	return p.tun.counts()
}

// Apply installs, rekeys, moves or deletes a child SA; when it returns, the
// change is in effect: no packet is sealed with a deleted SA, and none opened but
// for what is late: see lateTime. The
// keys of c.Child are copied. OpAdd, OpRekey and OpFollow of a child that is
// installed already are an OpMove: the change comes again, with the addresses of now.
// OpDelete of one that is not installed changes nothing. Counters of Child.Slot that
// belong to the same Child.ID are continued, others begin at 0.
func (p *Plane) Apply(c *sa.Change) error { return p.esp.apply(c) }

// AdvanceIn makes a child SA refuse every inbound sequence number up to seq. A
// window that is there already stays.
func (p *Plane) AdvanceIn(id, seq uint64) { p.esp.advanceIn(id, seq) }

// SendIKE sends one IKE message from the socket bound to local; where that is a
// KindNATT socket it adds the non-ESP marker. A message of one byte 0xff on a
// KindNATT socket is a NAT keepalive and gets no marker. It never waits: it goes
// ahead of data that is waiting for the socket, in a queue of its own where the
// socket is full.
func (p *Plane) SendIKE(local, remote netip.AddrPort, payload []byte) error {
	return p.esp.sendIKE(local, remote, payload)
}

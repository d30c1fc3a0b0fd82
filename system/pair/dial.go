package pair

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
)

const (
	// linkTimeout bounds the way to a session of two twins, step by step.
	linkTimeout = 2 * time.Second
	// answerLimit is how long a worker may take to say what has become of a
	// connection.
	answerLimit = 6 * time.Second
	// dialFirst is when a session that ended is made again; each later time
	// after twice as long, to dialMost.
	dialFirst = 20 * time.Millisecond
	dialMost  = 2 * time.Second
)

// dialling is how a standby context comes to its session with the twin. It
// belongs to pair.run.
type dialling struct {
	busy      bool      // a connection is being made
	passed    time.Time // since when the worker's word is awaited; zero: it is not
	connected bool
	next      time.Time
	delay     time.Duration
}

// begin notes that a connection is being made. The worker may say what has
// become of it before end is called.
func (d *dialling) begin(now time.Time) { d.busy, d.passed = true, now }

// end notes that the worker has it, or that there is none.
func (d *dialling) end(now time.Time, err error) {
	d.busy = false
	if err != nil {
		d.passed = time.Time{}
		d.failed(now)
	}
}

// answered takes the worker's word on the session.
func (d *dialling) answered(now time.Time, r *control.Replication) {
	d.connected = r.Connected
	if r.Connected {
		d.passed, d.next, d.delay = time.Time{}, time.Time{}, 0
		return
	}
	d.passed = time.Time{}
	d.failed(now)
}

// failed makes the next attempt wait.
func (d *dialling) failed(now time.Time) {
	if d.delay = min(max(2*d.delay, dialFirst), dialMost); now.Add(d.delay).After(d.next) {
		d.next = now.Add(d.delay)
	}
}

// due reports whether it is time to connect.
func (d *dialling) due(now time.Time) bool {
	waiting := !d.passed.IsZero() && now.Sub(d.passed) < answerLimit
	return !d.connected && !d.busy && !waiting && !now.Before(d.next)
}

// connect makes the connections that standby contexts miss. The standby
// connects: it is the one that wants something.
func (p *Pair) connect(ctx context.Context, now time.Time) {
	if p.node == nil || !p.node.PeerAlive() {
		return
	}
	for _, m := range p.members {
		if p.dials >= dialsAtOnce {
			return
		}
		if !m.dial.due(now) || !p.role(m.group).Standby() || !m.worker.Status().Ready {
			continue
		}
		links := p.heardLinks(now)
		if len(links) == 0 {
			return
		}
		m.dial.begin(now)
		p.dials++
		key := p.sessionKey()
		p.owned.Go(func() { p.dial(ctx, m, links, key) })
	}
}

// dial makes one connection and gives it to the worker.
func (p *Pair) dial(ctx context.Context, m *member, links []*uplink, key secret.Value) {
	err := guard.Run(p.log, "a connection to the twin", func() error {
		err := errors.New("system: no link")
		for _, l := range links {
			if err = p.dialOver(ctx, m, l, key); err == nil {
				break
			}
		}
		return err
	})
	if err != nil {
		p.log.Debug("no connection to the twin", "tenant", m.name, "reason", err)
	}
	p.post(func(now time.Time, _ *failover.Output) {
		p.dials--
		m.dial.end(now, err)
	})
}

func (p *Pair) dialOver(ctx context.Context, m *member, l *uplink, key secret.Value) error {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	conn, err := link.Dial(ctx, l.cfg.Address.Addr(), netip.AddrPortFrom(l.cfg.Peer, link.ReplicationPort), key, m.name)
	if err != nil {
		return err
	}
	defer conn.Close()
	return pass(ctx, m, conn, key)
}

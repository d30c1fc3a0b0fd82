package pair

import (
	"context"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
)

// obituary finds out that all processes of the peer have ended while its kernel lives:
// every session of a worker here with its twin was closed at the other end, and the
// peer's supervisor listens no more. A peer whose supervisor alone has died keeps
// sessions, and one whose workers have died, its listener: both are no obituary. It
// belongs to Pair.run.
type obituary struct {
	*machine
	members *members
	links   *links
	hold    time.Duration

	suspected bool // a session was closed since the last look
	knocking  bool
	looks     int // that are over
}

// heard takes what a worker says of its session.
func (o *obituary) heard(m *member, r *control.Replication) {
	if r != nil && r.Closed && !r.Connected && m.replication.Connected {
		o.suspected = true
	}
}

// look goes to see whether the peer's supervisor listens, where all sessions have ended.
func (o *obituary) look(ctx context.Context, now time.Time) {
	if !o.suspected || o.knocking || o.node == nil || !o.node.PeerAlive() || o.connected() {
		return
	}
	links := o.links.heard(now)
	o.suspected, o.knocking = false, len(links) > 0
	if !o.knocking {
		return
	}
	o.async("a look after the peer's supervisor", func() {
		refused := refuses(ctx, links, o.hold)
		o.post(func(now time.Time, out *failover.Output) {
			o.knocking = false
			o.looks++
			if refused && !o.connected() && o.node != nil {
				o.links.drain(func(b beat) { _ = o.node.Receive(now, b.path, b.payload, out) })
				o.node.PeerClosed(now, out)
			}
		})
	})
}

// connected reports whether a worker has a session with its twin.
func (o *obituary) connected() bool {
	for _, m := range o.members.byName {
		if m.replication.Connected {
			return true
		}
	}
	return false
}

// refuses reports whether the peer refuses connections over every one of the links, in
// no more time than limit.
func refuses(ctx context.Context, links []*uplink, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, l := range links {
		if !link.Refuses(ctx, l.cfg.Address.Addr(), netip.AddrPortFrom(l.cfg.Peer, link.ReplicationPort)) {
			return false
		}
	}
	return true
}

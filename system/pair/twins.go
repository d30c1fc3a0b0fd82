package pair

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	// dialsAtOnce bounds the connections to twins that are being made.
	dialsAtOnce = 32
)

// twins make the sessions of the workers with those of the other node, and follow how far
// the copies are. They belong to Pair.run, but for dial, dialOver and accept.
type twins struct {
	*machine
	roles   *roles
	members *members
	links   *links
	keys    *keyring
	// obituary looks after the peer where sessions end.
	obituary *obituary
	dials    int // that are being made
}

// connect makes the connections that standby contexts miss. The standby
// connects: it is the one that wants something.
func (t *twins) connect(ctx context.Context, now time.Time) {
	if t.node == nil || !t.node.PeerAlive() {
		return
	}
	for _, m := range t.members.byName {
		if t.dials >= dialsAtOnce {
			return
		}
		if !m.dial.due(now) || !t.roles.of(m.group).Standby() || !m.worker.Status().Ready {
			continue
		}
		links := t.links.heard(now)
		if len(links) == 0 {
			return
		}
		m.dial.begin(now)
		t.dials++
		key := t.keys.forSession(t.node)
		t.owned.Go(func() { t.dial(ctx, m, links, key) })
	}
}

// dial makes one connection and gives it to the worker.
func (t *twins) dial(ctx context.Context, m *member, links []*uplink, key secret.Value) {
	err := guard.Run(t.log, "a connection to the twin", func() error {
		err := errors.New("system: no link")
		for _, l := range links {
			if err = t.dialOver(ctx, m, l, key); err == nil {
				break
			}
		}
		return err
	})
	if err != nil {
		t.log.Debug("no connection to the twin", "tenant", m.name, "reason", err)
	}
	t.post(func(now time.Time, _ *failover.Output) {
		t.dials--
		m.dial.end(now, err)
	})
}

func (t *twins) dialOver(ctx context.Context, m *member, l *uplink, key secret.Value) error {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	conn, err := link.Dial(ctx, l.cfg.Address.Addr(), netip.AddrPortFrom(l.cfg.Peer, link.ReplicationPort), key, m.name)
	if err != nil {
		return err
	}
	defer conn.Close()
	return pass(ctx, m, conn, key)
}

// accept hands a connection of the peer, which has the key, to the worker that it is for.
// Only an active one takes connections: the standby makes them.
func (t *twins) accept(ctx context.Context, name string, conn *net.TCPConn, key secret.Value) error {
	var m *member
	t.do(func(time.Time, *failover.Output) {
		if found := t.members.byName[name]; found != nil && t.roles.of(found.group) == failover.RoleActive {
			m = found
		}
	})
	if m == nil {
		t.log.Debug("connection of the peer dropped", "tenant", name, "reason", "the context is not active here")
		return conn.Close()
	}
	if err := pass(ctx, m, conn, key); err != nil {
		t.log.Warn("connection of the peer not passed on", "tenant", name, "reason", err)
	}
	return conn.Close()
}

// pass gives a connection to the worker of a context.
func pass(ctx context.Context, m *member, conn *net.TCPConn, key secret.Value) error {
	file, err := conn.File()
	if err != nil {
		return fmt.Errorf("system: passing a connection on: %w", err)
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	return m.worker.Link(ctx, file, failover.TenantKey(key, m.name))
}

// heard takes what a worker says of its copy; nil: there is no worker.
func (t *twins) heard(now time.Time, m *member, r *control.Replication, out *failover.Output) {
	t.obituary.heard(m, r)
	if r == nil {
		r = &control.Replication{State: failover.ReplicationNone, Reason: "the worker has ended",
			Holds: m.replication.Holds}
	}
	m.replication, m.told = *r, now
	m.dial.answered(now, r)
	t.progress(now, m, out)
}

// progress tells the role machine how far the copy of a context is. What a
// worker said of itself when it served is none of its business.
func (t *twins) progress(now time.Time, m *member, out *failover.Output) {
	r := m.replication
	if t.node == nil || m.told.IsZero() || r.Active || t.roles.of(m.group) == failover.RoleActive {
		return
	}
	t.node.Replication(now, m.name, r.State, out)
	t.node.Copy(now, m.name, r.Holds, out)
	t.node.Orphan(now, m.name, r.Orphan, out)
}

package pair

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
)

// listen takes connections of the peer over one link.
func (p *Pair) listen(ctx context.Context, l *uplink) error {
	at := netip.AddrPortFrom(l.cfg.Address.Addr(), link.ReplicationPort)
	listener, err := link.Listen(ctx, at, l.cfg.Peer, p.failoverKeys)
	if err != nil {
		return err
	}
	return listener.Run(ctx, func(conn *net.TCPConn) {
		err := guard.Run(p.log, "a connection of the peer", func() error {
			name, key, err := listener.Greet(conn)
			if err == nil {
				err = p.accept(ctx, name, conn, key)
			}
			return err
		})
		if err != nil {
			conn.Close()
			l.refusals.refused(p.log, l.cfg.Name, err)
		}
	})
}

// accept hands a connection of the peer, which has the key, to the worker that it is
// for. Only an
// active one takes connections: the standby makes them. After an error the
// connection is the caller's still.
func (p *Pair) accept(ctx context.Context, name string, conn *net.TCPConn, key secret.Value) error {
	if name == link.PeerName {
		return p.admit(ctx, conn, key)
	}
	var m *member
	p.do(func(time.Time, *failover.Output) {
		if found := p.members[name]; found != nil && p.role(found.group) == failover.RoleActive {
			m = found
		}
	})
	if m == nil {
		p.log.Debug("connection of the peer dropped", "tenant", name, "reason", "the context is not active here")
		return conn.Close()
	}
	if err := pass(ctx, m, conn, key); err != nil {
		p.log.Warn("connection of the peer not passed on", "tenant", name, "reason", err)
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

// heardLinks are the links over which the peer is heard.
func (p *Pair) heardLinks(now time.Time) []*uplink {
	var list []*uplink
	for i, s := range p.node.Links(now) {
		if s.State == "up" {
			list = append(list, p.links[i])
		}
	}
	return slices.Clip(list)
}

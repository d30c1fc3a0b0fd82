package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/failover"
)

// HeartbeatPort is the UDP port of heartbeats, on failover links and on data
// interfaces.
const HeartbeatPort = 8305

// Heartbeats moves heartbeats over any number of paths.
type Heartbeats struct {
	paths map[failover.Path]*heartbeatPath
	order []*heartbeatPath
}

type heartbeatPath struct {
	path failover.Path
	conn *net.UDPConn
	peer netip.AddrPort
}

// ListenHeartbeat opens the socket of one path in the present network
// namespace. It is bound to device, so that a heartbeat tells something about
// that link; an empty device binds to the address only.
func ListenHeartbeat(ctx context.Context, device string, local netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var opt error
		err := raw.Control(func(fd uintptr) {
			if device != "" {
				opt = unix.BindToDevice(int(fd), device)
			}
			if opt == nil {
				opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			}
			if opt == nil && local.Addr().Is6() {
				opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
			} else if opt == nil {
				opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
			}
			// The best class that needs no privilege: a full link must not look
			// like a dead peer.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, 6)
		})
		return errors.Join(err, opt)
	}}
	conn, err := lc.ListenPacket(ctx, "udp", local.String())
	if err != nil {
		return nil, fmt.Errorf("link: heartbeat socket on %q: %w", device, err)
	}
	return conn.(*net.UDPConn), nil
}

// NewHeartbeats returns Heartbeats without a path.
func NewHeartbeats() *Heartbeats {
	return &Heartbeats{paths: map[failover.Path]*heartbeatPath{}}
}

// Add gives a path its socket, which belongs to the Heartbeats from now on, and
// the peer's address. It must not be called after Run.
func (h *Heartbeats) Add(path failover.Path, conn *net.UDPConn, peer netip.AddrPort) {
	p := &heartbeatPath{path: path, conn: conn, peer: peer}
	h.paths[path] = p
	h.order = append(h.order, p)
}

// Send sends one heartbeat; it never blocks for longer than the socket does. An
// error is worth a line in the log and nothing more: silence is what counts.
func (h *Heartbeats) Send(d failover.Datagram) error {
	p := h.paths[d.Path]
	if p == nil {
		return fmt.Errorf("link: no path over link %d interface %q", d.Path.Link, d.Path.Interface)
	}
	if _, err := p.conn.WriteToUDPAddrPort(d.Payload, p.peer); err != nil {
		return fmt.Errorf("link: sending heartbeat: %w", err)
	}
	return nil
}

// Run calls deliver with every datagram that comes from the peer's address,
// from one goroutine a path, until ctx ends; it closes the sockets. deliver owns
// the slice.
func (h *Heartbeats) Run(ctx context.Context, deliver func(failover.Path, []byte)) error {
	var wg sync.WaitGroup
	for _, p := range h.order {
		wg.Go(func() { p.read(deliver) })
	}
	<-ctx.Done()
	var err error
	for _, p := range h.order {
		err = errors.Join(err, p.conn.Close())
	}
	wg.Wait()
	return err
}

// read delivers until the socket is closed. Errors of the network, such as a
// port that is unreachable while the peer is down, end nothing.
func (p *heartbeatPath) read(deliver func(failover.Path, []byte)) {
	buf := make([]byte, failover.MaxHeartbeat+1)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n > failover.MaxHeartbeat || from.Addr().Unmap() != p.peer.Addr().Unmap() {
			continue
		}
		deliver(p.path, append([]byte(nil), buf[:n]...))
	}
}

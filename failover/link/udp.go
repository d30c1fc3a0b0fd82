package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/failover"
)

// HeartbeatPort is the UDP port of heartbeats on failover links.
const HeartbeatPort = 8305

// UDP carries heartbeats over one failover link. Its methods may be called from
// several goroutines at once.
type UDP struct {
	conn *net.UDPConn
	peer netip.AddrPort
}

// OpenUDP opens the socket of one link in the present network namespace. It is
// bound to device, so that a heartbeat tells something about that link; an
// empty device binds to the address only. The address need not be there yet.
func OpenUDP(ctx context.Context, device string, local, peer netip.AddrPort) (*UDP, error) {
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
	return &UDP{conn.(*net.UDPConn), peer}, nil
}

// Send sends one heartbeat; it does not block for longer than the socket does.
// An error is worth a line in the log and nothing more: silence is what counts.
func (u *UDP) Send(payload []byte) error {
	if _, err := u.conn.WriteToUDPAddrPort(payload, u.peer); err != nil {
		return fmt.Errorf("link: sending heartbeat: %w", err)
	}
	return nil
}

// Receive waits for the next heartbeat from the peer's address, which belongs
// to the caller. It is not authenticated yet. Errors of the network, such as a
// port that is unreachable while the peer is down, end nothing; an error of
// Receive is for ever, as after Close.
func (u *UDP) Receive() ([]byte, error) {
	buf := make([]byte, failover.MaxDatagram+1)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, unix.ENODEV):
			return nil, fmt.Errorf("link: receiving heartbeat: %w", err)
		case err != nil, n > failover.MaxDatagram, from.Addr().Unmap() != u.peer.Addr().Unmap():
			continue
		}
		return buf[:n:n], nil
	}
}

// Close ends Receive.
func (u *UDP) Close() error { return u.conn.Close() }

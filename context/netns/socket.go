package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

const (
	ikePort  = 500
	nattPort = 4500
	// socketBuffer lets a burst of some thousand packets wait, for example
	// while a worker is being replaced.
	socketBuffer = 4 << 20
	// outerMark is on every packet that the worker sends, so that the rules
	// keep it out of the tunnel. Only the supervisor can set it.
	outerMark = 0x57000001
)

// openSockets opens, for every address of an interface with a crypto map, the
// sockets of IKE and ESP. It runs inside the namespace.
func (g *Gateway) openSockets(t *spec.Tenant) error {
	for _, m := range t.CryptoMaps {
		i, ok := interfaceOf(t, m.Interface)
		if !ok {
			continue
		}
		for _, p := range i.Addresses {
			for _, s := range []struct {
				kind     control.DescriptorKind
				typ      int
				protocol int
				port     uint16
			}{
				{control.DescriptorIKE, unix.SOCK_DGRAM, unix.IPPROTO_UDP, ikePort},
				{control.DescriptorNATT, unix.SOCK_DGRAM, unix.IPPROTO_UDP, nattPort},
				{control.DescriptorESP, unix.SOCK_RAW, unix.IPPROTO_ESP, 0},
			} {
				local := netip.AddrPortFrom(p.Addr(), s.port)
				count := 1
				if s.kind == control.DescriptorNATT {
					count = receivers(runtime.NumCPU())
				}
				for range count {
					f, err := openSocket(s.typ, s.protocol, local, count > 1)
					if err != nil {
						return fmt.Errorf("netns: opening %s socket on %s: %w", s.kind, local, err)
					}
					g.endpoints = append(g.endpoints, Endpoint{Descriptor: control.Descriptor{
						Kind: s.kind, Local: local, Interface: m.Interface, MTU: g.links[m.Interface].mtu,
					}, File: f})
				}
			}
		}
	}
	return nil
}

// maxReceivers bounds the sockets that share an address: each of them is a
// pipeline of the worker, with memory of its own.
const maxReceivers = 4

// receivers is how many sockets share the address that ESP in UDP arrives at,
// on a machine of so many processors. The kernel gives each peer to one of them,
// so the order of its packets is kept, and they are received on as many
// processors. Raw sockets cannot share: each would get every packet.
func receivers(processors int) int { return max(1, min(processors/2, maxReceivers)) }

// openSocket opens one bound socket. FREEBIND lets it be bound before the
// address is there, as on a standby. It is left blocking: the runtime would
// have epoll watch a file that is not, and every packet for the worker would wake
// the supervisor, too. The worker makes it non-blocking for both.
func openSocket(typ, protocol int, local netip.AddrPort, shared bool) (*os.File, error) {
	family, level, freebind := unix.AF_INET, unix.SOL_IP, unix.IP_FREEBIND
	if local.Addr().Is6() {
		family, level, freebind = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_FREEBIND
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	err = errors.Join(
		unix.SetsockoptInt(fd, level, freebind, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, outerMark),
		setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF),
		setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF),
	)
	if shared && err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if family == unix.AF_INET6 && typ == unix.SOCK_DGRAM && err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(typ, local))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// setBuffer goes above the limits of the host where it may.
func setBuffer(fd, forced, asked int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, forced, socketBuffer) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, asked, socketBuffer)
}

func sockaddr(typ int, local netip.AddrPort) unix.Sockaddr {
	port := int(local.Port())
	if typ == unix.SOCK_RAW {
		port = 0
	}
	if local.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: local.Addr().As16(), Port: port}
	}
	return &unix.SockaddrInet4{Addr: local.Addr().As4(), Port: port}
}

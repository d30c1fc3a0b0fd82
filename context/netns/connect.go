package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// errNoServer refuses a socket to what the configuration does not name.
var errNoServer = errors.New("netns: the configuration has no such server")

// Connect opens UDP sockets to a server of the tenant's configuration, for its worker, which
// may neither make sockets nor connect them. Where the server's entry names an interface
// they have its address and use that interface alone: what the server is told never
// depends on a route that somebody else can announce, and does not go into a tunnel.
func (g *Gateway) Connect(c control.Connect) (files []*os.File, err error) {
	if c.Sockets < 1 || c.Sockets > control.MaxSockets {
		return nil, fmt.Errorf("netns: %d sockets for one server; 1 to %d are allowed", c.Sockets, control.MaxSockets)
	}
	g.mu.Lock()
	server, ok := serverOf(g.tenant, c.Server)
	local, device, known := g.wayLocked(server)
	g.mu.Unlock()
	switch {
	case !ok:
		return nil, errNoServer
	case !known:
		return nil, fmt.Errorf("netns: interface %s has no address of the family of server %s", server.Interface,
			c.Server)
	}
	err = g.ns.within(func() error {
		for range c.Sockets {
			f, err := connectSocket(c.Server, local, device)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("netns: connecting to server %s: %w", c.Server, err)
	}
	return files, nil
}

// serverOf returns the server of t that listens there.
func serverOf(t *spec.Tenant, at netip.AddrPort) (spec.AAAServer, bool) {
	for _, group := range t.AAAServers {
		for _, s := range group.Servers {
			if s.Endpoint() == at {
				return s, true
			}
		}
	}
	return spec.AAAServer{}, false
}

// wayLocked returns from which address and device, by its index, a server is reached; neither, where
// the routes say so. known says whether there are such.
func (g *Gateway) wayLocked(s spec.AAAServer) (local netip.Addr, device int, known bool) {
	if s.Interface == "" {
		return netip.Addr{}, 0, true
	}
	i, ok := interfaceOf(g.tenant, s.Interface)
	if !ok {
		return netip.Addr{}, 0, false
	}
	at := slices.IndexFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == s.Address.Is4() })
	if at < 0 {
		return netip.Addr{}, 0, false
	}
	return i.Addresses[at].Addr(), g.links[s.Interface].index, true
}

// connectSocket opens one socket to server, from a port that the kernel chooses.
func connectSocket(server netip.AddrPort, local netip.Addr, device int) (*os.File, error) {
	family := unix.AF_INET
	if server.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	if device != 0 {
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, outerMark),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, device),
			unix.Bind(fd, sockaddr(unix.SOCK_DGRAM, netip.AddrPortFrom(local, 0))),
		)
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(unix.SOCK_DGRAM, server))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "server"), nil
}

package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

// A worker may be in a stranger's hands. What it asks for touches its own TUN
// device alone, and there is a bound to it.
const (
	maxAddresses = 256
	maxRoutes    = 4096
)

// requests are what the worker has asked for and holds.
type requests struct {
	addresses map[netip.Prefix]struct{}
	routes    map[netip.Prefix][]route
}

func newRequests() requests {
	return requests{make(map[netip.Prefix]struct{}), make(map[netip.Prefix][]route)}
}

// Address puts an address on the TUN device, or takes it away. Asking twice is
// no error.
func (g *Gateway) Address(a control.Address) error {
	if err := checkAddress(a.Prefix); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	addr := &netlink.Addr{IPNet: ipNet(a.Prefix)}
	if a.Prefix.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if !a.Add {
		delete(g.asked.addresses, a.Prefix)
		err := g.ns.handle.AddrDel(linkAt(g.tun), addr)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("netns: removing address %s: %w", a.Prefix, err)
		}
		return nil
	}
	if _, held := g.asked.addresses[a.Prefix]; !held && len(g.asked.addresses) >= maxAddresses {
		return fmt.Errorf("netns: the tunnel has %d addresses already", maxAddresses)
	}
	if err := g.ns.handle.AddrReplace(linkAt(g.tun), addr); err != nil {
		return fmt.Errorf("netns: adding address %s: %w", a.Prefix, err)
	}
	g.asked.addresses[a.Prefix] = struct{}{}
	return nil
}

func checkAddress(p netip.Prefix) error {
	a := p.Addr()
	if !p.IsValid() || !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
		return fmt.Errorf("netns: %s is no address for a tunnel", p)
	}
	return nil
}

// Route adds a route into the tunnel, or takes it away. Routes of the
// configuration are not the worker's to remove.
func (g *Gateway) Route(r control.Route) error {
	d := r.Destination
	if !d.IsValid() || d != d.Masked() || d.Addr().Is4In6() || d.Addr().IsMulticast() || d.Addr().IsLoopback() ||
		r.Source.IsValid() && r.Source.BitLen() != d.Addr().BitLen() {
		return fmt.Errorf("netns: %s is no destination for a tunnel", d)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !r.Add {
		return g.dropRouteLocked(d)
	}
	if _, held := g.asked.routes[d]; !held && len(g.asked.routes) >= maxRoutes {
		return fmt.Errorf("netns: the tunnel has %d routes already", maxRoutes)
	}
	if _, held := g.asked.routes[d]; !held {
		if g.countRoutesLocked(); !g.routeUse.Take(1) {
			return fmt.Errorf("netns: the context's class allows %d routes, and that many there are", g.limits.Routes)
		}
	}
	list := g.intoTunnel(d, r.Source)
	for _, one := range list {
		if err := g.ns.handle.RouteReplace(one.netlink()); err != nil {
			return fmt.Errorf("netns: adding route to %s: %w", d, err)
		}
	}
	g.asked.routes[d] = list
	return nil
}

func (g *Gateway) dropRouteLocked(d netip.Prefix) error {
	list, held := g.asked.routes[d]
	if !held {
		return nil
	}
	delete(g.asked.routes, d)
	for _, one := range list {
		if err := g.ns.handle.RouteDel(one.netlink()); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("netns: removing route to %s: %w", d, err)
		}
	}
	for _, one := range g.installed { // the configuration wants it still
		if one.destination == d && one.index == g.tun.index {
			if err := g.ns.handle.RouteReplace(one.netlink()); err != nil {
				return fmt.Errorf("netns: adding route to %s: %w", d, err)
			}
		}
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

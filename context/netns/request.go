package netns

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
)

// A worker may be in a stranger's hands. What it asks for touches its own TUN
// device alone, and there is a bound to it.
const (
	maxAddresses = 256
	maxRoutes    = 4096
	maxProxies   = 65536
)

// requests are what the worker has asked for and holds.
type requests struct {
	addresses map[netip.Prefix]struct{}
	routes    map[netip.Prefix]guarded // what child SAs carry that stand
	proxies   map[netip.Addr]struct{}  // IPv6 addresses of clients to answer for
}

func newRequests() requests {
	return requests{make(map[netip.Prefix]struct{}), make(map[netip.Prefix]guarded), make(map[netip.Addr]struct{})}
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

// Routes notes what the child SAs carry that stand, and sends it into the tunnel.
// A destination must lie within what the configuration protects, or has protected;
// those that are refused are named in the error, the others count. Asking twice is
// no error.
func (g *Gateway) Routes(r control.Routes) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil
	}
	released := g.holding && !r.More
	if r.Reset {
		g.asked.routes, g.asked.proxies = make(map[netip.Prefix]guarded), make(map[netip.Addr]struct{})
		g.holding = r.More
	} else if released {
		g.holding = false
	}
	for _, d := range r.Remove {
		delete(g.asked.routes, d)
	}
	for _, a := range r.Silence {
		delete(g.asked.proxies, a)
	}
	if !g.holding && (r.Reset || released || len(r.Remove) > 0) {
		g.tidyCarriedLocked()
	}
	var refused []error
	allowed := slices.AppendSeq(configured(g.tenant), maps.Keys(g.carried))
	for _, one := range r.Add {
		if err := g.noteLocked(one, allowed); err != nil {
			refused = append(refused, err)
		}
	}
	for _, a := range r.Answer {
		if len(g.asked.proxies) < maxProxies && a.Is6() && leases(g.tenant, a) {
			g.asked.proxies[a] = struct{}{}
		} else {
			refused = append(refused, fmt.Errorf("netns: %s is not for us to answer for", a))
		}
	}
	g.countRoutesLocked()
	settle := func() error { return errors.Join(g.settleRoutesLocked(), g.answerLocked(r)) }
	if released {
		settle = g.settleLocked
	}
	err := settle()
	if err != nil {
		g.known.net = false
	}
	return errors.Join(firstOf(refused), err)
}

// noteLocked notes one of the networks that child SAs carry.
func (g *Gateway) noteLocked(r control.Route, allowed []netip.Prefix) error {
	d := r.Destination
	if !d.IsValid() || d != d.Masked() || d.Addr().Is4In6() || r.Source.IsValid() &&
		r.Source.BitLen() != d.Addr().BitLen() || len(g.sites.exact[d]) == 0 && !within(allowed, d) {
		return fmt.Errorf("netns: %s is no destination for a tunnel of this context", d)
	}
	if _, held := g.asked.routes[d]; !held {
		if len(g.asked.routes) >= maxRoutes {
			return fmt.Errorf("netns: the tunnel has %d routes already", maxRoutes)
		}
		if g.countRoutesLocked(); !g.routeUse.Take(1) {
			return fmt.Errorf("netns: the context's class allows %d routes, and that many there are", g.limits.Routes)
		}
	}
	g.asked.routes[d] = g.standingLocked(r)
	g.carryLocked(d)
	return nil
}

// answerLocked answers for the clients that came, and not for those that went.
func (g *Gateway) answerLocked(r control.Routes) error {
	if r.Reset {
		return g.settleProxiesLocked()
	}
	if !g.serves() {
		return nil
	}
	var errs []error
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		if !ok || !g.up[l.index] {
			continue
		}
		for _, a := range r.Silence {
			if onLink(i, a) {
				errs = append(errs, g.proxyLocked(l, a, false))
			}
		}
		for _, a := range r.Answer {
			if _, noted := g.asked.proxies[a]; noted && onLink(i, a) {
				errs = append(errs, g.proxyLocked(l, a, true))
			}
		}
	}
	return errors.Join(errs...)
}

// leases reports whether an address is of one of the pools.
func leases(t *spec.Tenant, a netip.Addr) bool {
	return slices.ContainsFunc(t.Pools, func(p spec.Pool) bool {
		return p.Start.BitLen() == a.BitLen() && !a.Less(p.Start) && !p.End.Less(a)
	})
}

// withdrawLocked forgets what the worker has asked for, and takes its addresses
// away; settleLocked does the rest.
func (g *Gateway) withdrawLocked() error {
	var errs []error
	for p := range g.asked.addresses {
		err := g.ns.handle.AddrDel(linkAt(g.tun), &netlink.Addr{IPNet: ipNet(p)})
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("netns: removing address %s: %w", p, err))
		}
	}
	g.asked = newRequests()
	return errors.Join(errs...)
}

// firstOf is the first of many errors, and how many there are.
func firstOf(errs []error) error {
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

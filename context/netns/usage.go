package netns

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/resource"
)

// RouteUse returns how many routes there are, of the configuration and of those
// that the worker has asked for.
func (g *Gateway) RouteUse() resource.Meter {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.countRoutesLocked()
	return g.routeUse
}

func (g *Gateway) countRoutesLocked() {
	g.routeUse.Limit = int64(g.limits.Routes)
	g.routeUse.Set(int64(g.static + len(g.asked.routes)))
}

// unresolved are the states of neighbours that can go without harm, most
// useless first: nobody has answered, or nobody has asked for a while.
var unresolved = []int{netlink.NUD_FAILED, netlink.NUD_INCOMPLETE, netlink.NUD_STALE}

// MACUse counts the neighbours of the namespace, of IPv4 and of IPv6, and
// removes those beyond the limit of the class. The kernel has one table for all
// namespaces: without a limit, one tenant's neighbours, or one that claims to be
// many, can take all of it.
func (g *Gateway) MACUse() (resource.Meter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return g.macUse, nil
	}
	list, err := g.ns.handle.NeighList(0, unix.AF_UNSPEC)
	if err != nil {
		return g.macUse, fmt.Errorf("netns: listing neighbours: %w", err)
	}
	list = slices.DeleteFunc(list, func(n netlink.Neigh) bool {
		return n.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0 || n.Family == unix.AF_BRIDGE
	})
	g.macUse.Limit = int64(g.limits.MACAddresses)
	g.macUse.Set(int64(len(list)))
	surplus := len(list) - g.limits.MACAddresses
	if g.limits.MACAddresses == 0 || surplus <= 0 {
		return g.macUse, nil
	}
	slices.SortStableFunc(list, func(a, b netlink.Neigh) int { return worth(a) - worth(b) })
	var errs []error
	for i := range list[:surplus] {
		err := g.ns.handle.NeighDel(&list[i])
		switch {
		case err == nil:
			g.macUse.Denied++
			g.macUse.Current--
		case !errors.Is(err, unix.ENOENT):
			errs = append(errs, fmt.Errorf("netns: removing neighbour %s: %w", list[i].IP, err))
		}
	}
	return g.macUse, errors.Join(errs...)
}

// worth orders neighbours: the lowest goes first.
func worth(n netlink.Neigh) int {
	for i, state := range unresolved {
		if n.State&state != 0 {
			return i
		}
	}
	return len(unresolved)
}

// ClearDrops counts the packets that came in clear over an interface with a crypto
// map and were dropped: they claimed a source inside or behind the tunnel, or
// went where nothing may go in clear. It counts since the Gateway was built.
func (g *Gateway) ClearDrops() (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return 0, nil
	}
	link, err := g.ns.handle.LinkByIndex(g.drop.index)
	if err != nil {
		return 0, fmt.Errorf("netns: asking %s for what it dropped: %w", dropName, err)
	}
	s := link.Attrs().Statistics
	if s == nil {
		return 0, nil
	}
	return s.TxDropped + s.TxPackets, nil
}

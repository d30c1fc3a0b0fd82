package netns

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// carrierQuiet is how long the carrier of a device says nothing after we have
// set it down and up: a port may negotiate for some seconds.
const carrierQuiet = 5 * time.Second

// Carriers tells for every interface of the tenant whether its device is up and
// has a carrier. One that says nothing at the moment, or is configured to be down,
// is left out.
func (g *Gateway) Carriers() map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]bool, len(g.links))
	if g.gone {
		return out
	}
	for name, l := range g.links {
		if i, _ := interfaceOf(g.tenant, name); i.Shutdown {
			continue
		}
		up := carrier(g.ns.handle, l.index)
		if up || time.Since(g.lowered[name]) > carrierQuiet {
			out[name] = up
		}
	}
	return out
}

func carrier(handle *netlink.Handle, index int) bool {
	link, err := handle.LinkByIndex(index)
	if err != nil {
		return false
	}
	const want = unix.IFF_UP | unix.IFF_LOWER_UP
	return link.Attrs().RawFlags&want == want
}

// WatchLinks calls changed at once and after every change of a device of the
// tenant's namespace, until ctx ends or the Gateway is removed. All calls but the
// first come from the Gateway's own goroutine, which changed must not hold up for
// long; the last may still be under way when WatchLinks returns.
func (g *Gateway) WatchLinks(ctx context.Context, changed func()) {
	key := new(int)
	g.watching.Lock()
	g.watchers[key] = changed
	g.watching.Unlock()
	defer func() {
		g.watching.Lock()
		delete(g.watchers, key)
		g.watching.Unlock()
	}()
	changed()
	select {
	case <-ctx.Done():
	case <-g.removed:
	}
}

func (g *Gateway) tellWatchers() {
	g.watching.Lock()
	list := slices.Collect(maps.Values(g.watchers))
	g.watching.Unlock()
	for _, changed := range list {
		changed()
	}
}

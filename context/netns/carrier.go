package netns

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// carrierQuiet is how long the carrier of a device says nothing after we have
// set it down and up: a port may negotiate for some seconds.
const carrierQuiet = 5 * time.Second

// Carriers tells for every interface of the tenant whether its device is up and
// has a carrier. One that says nothing at the moment is left out.
func (g *Gateway) Carriers() map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]bool, len(g.links))
	if g.gone {
		return out
	}
	for name, l := range g.links {
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

// WatchLinks calls changed after every change of a device of the tenant's
// namespace, until ctx ends.
func (g *Gateway) WatchLinks(ctx context.Context, changed func()) error {
	return g.ns.watchLinks(ctx, changed)
}

// WatchLinks calls changed after every change of a device of the host's
// namespace, until ctx ends.
func (h *Host) WatchLinks(ctx context.Context, changed func()) error {
	return h.ns.watchLinks(ctx, changed)
}

func (n *Namespace) watchLinks(ctx context.Context, changed func()) error {
	at := vnetns.NsHandle(n.file.Fd())
	updates := make(chan netlink.LinkUpdate, 64)
	done := make(chan struct{})
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{Namespace: &at, ErrorCallback: func(error) {}})
	if err != nil {
		return fmt.Errorf("netns: watching devices of %s: %w", n.name, err)
	}
	defer func() {
		close(done)
		for range updates { // until the reader has ended
		}
	}()
	changed() // what happened before is known from now on
	for {
		select {
		case _, ok := <-updates:
			if !ok {
				return errors.New("netns: the kernel has ended the watch over devices")
			}
			changed()
		case <-ctx.Done():
			return nil
		}
	}
}

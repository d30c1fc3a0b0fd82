package netns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
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

// healQuiet is how long the devices must have been left alone before what a change
// has taken away is put back: a link that goes down and up makes several.
const healQuiet = 50 * time.Millisecond

// watchRetry is how long after a failure the devices are watched again.
const watchRetry = time.Second

// tend watches the devices of the namespace until the Gateway is removed, tells the
// watchers, and heals what is gone when a link has come up.
func (g *Gateway) tend() {
	for {
		err := g.attempt(func() error {
			return g.ns.watchLinks(g.removed, g.tellWatchers, func() { _ = g.attempt(g.Heal) })
		})
		if err == nil {
			return
		}
		select {
		case <-g.removed:
			return
		case <-time.After(watchRetry):
		}
		_ = g.attempt(g.Heal) // what happened meanwhile nobody has seen
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

// WatchLinks calls changed after every change of a device of the host's
// namespace, until ctx ends.
func (h *Host) WatchLinks(ctx context.Context, changed func()) error {
	return h.ns.watchLinks(ctx.Done(), changed, func() {})
}

// watchLinks calls changed at once and after every change, and quiet when nothing
// has changed for healQuiet since, until done is closed.
func (n *Namespace) watchLinks(done <-chan struct{}, changed, quiet func()) error {
	socket, err := n.openLinkEvents()
	if err != nil {
		return fmt.Errorf("netns: watching devices of %s: %w", n.name, err)
	}
	events := make(chan struct{}, 1) // how many there were does not matter
	var reader sync.WaitGroup
	reader.Go(func() { readLinkEvents(socket, events) })
	defer reader.Wait()
	defer socket.Close()
	changed() // what happened before is known from now on
	calm := time.NewTimer(healQuiet)
	calm.Stop()
	defer calm.Stop()
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return errors.New("netns: the kernel has ended the watch over devices")
			}
			changed()
			calm.Reset(healQuiet)
		case <-calm.C:
			quiet()
		case <-done:
			return nil
		}
	}
}

// openLinkEvents opens a socket that the kernel tells of devices. There is one for
// every tenant, so it is not the library's, which holds 64 KiB for each.
func (n *Namespace) openLinkEvents() (*os.File, error) {
	fd := -1
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK})
	})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	return os.NewFile(uintptr(fd), "link events"), nil
}

// readLinkEvents passes on that something has come, not what: whoever is told
// looks for himself. It ends with the socket.
func readLinkEvents(socket *os.File, events chan<- struct{}) {
	defer close(events)
	b := make([]byte, 16) // the rest of a message is dropped
	for {
		_, err := socket.Read(b)
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // some were lost: something has changed
			return
		}
		select {
		case events <- struct{}{}:
		default:
		}
	}
}

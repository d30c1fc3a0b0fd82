package netns

import (
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/tun"
)

// tunSettings are what the kernel must know of the TUN device before it is up.
func tunSettings() []setting { return append(settingsOf(tunName), quietTUN) }

// openTUN makes the TUN device of the namespace that the thread is in.
func openTUN(mtu int) (ends []Endpoint, err error) {
	files, err := tun.Open(tunName, mtu, 1)
	if err != nil {
		return nil, fmt.Errorf("netns: %w", err)
	}
	for _, f := range files {
		ends = append(ends, Endpoint{
			Descriptor: control.Descriptor{Kind: control.DescriptorTUN, Interface: tunName, MTU: mtu}, File: f,
		})
	}
	return ends, nil
}

// Endpoints are the descriptors for the worker, the same at every start of it. Where
// somebody has deleted the TUN device they are those of another one: the worker that
// had the old one has ended, or is about to.
func (g *Gateway) Endpoints() []Endpoint {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return g.endpoints
	}
	list, err := g.ns.links()
	if _, exists := linkOf(list, g.tun.index); err == nil && !exists {
		_ = g.remakeTUN() // without it the worker does not start, and the next look tells why
	}
	return g.endpoints
}

// remakeTUN makes the TUN device again, in the place of the descriptors that have lost
// it. Whoever has those next is told by Endpoints.
func (g *Gateway) remakeTUN() error {
	var fresh []Endpoint
	err := g.ns.within(func() (err error) {
		if fresh, err = openTUN(g.tun.mtu); err == nil {
			_, err = correct(tunSettings())
		}
		return err
	})
	link, found := g.ns.handle.LinkByName(tunName)
	if err == nil {
		err = found
	}
	if err != nil {
		for _, e := range fresh {
			e.Close()
		}
		return fmt.Errorf("netns: making %s again: %w", tunName, err)
	}
	ends := slices.Clone(g.endpoints)
	for i, e := range ends {
		if e.Kind == control.DescriptorTUN && len(fresh) > 0 {
			e.Close()
			ends[i], fresh = fresh[0], fresh[1:]
		}
	}
	g.endpoints = ends
	g.tun.index = link.Attrs().Index
	g.mended.Devices++
	return nil
}

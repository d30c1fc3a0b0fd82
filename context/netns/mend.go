package netns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// nameLocked binds the namespace to its name again: without it the namespace ends
// with us, and with it what was taken from the host.
func (g *Gateway) nameLocked() error {
	bound, err := g.ns.keepName()
	if bound {
		g.mended.Names++
	}
	return err
}

// remakeLocked takes devices again that are gone: somebody has deleted or moved them,
// or the device that they stand on, and that is there again.
func (g *Gateway) remakeLocked() error {
	var errs []error
	for _, d := range g.devices {
		l, ok := g.links[d.Interface]
		if !ok {
			continue // Build is on its way
		}
		if _, err := g.ns.handle.LinkByIndex(l.index); err == nil {
			continue
		}
		if err := g.remake(d, l); err != nil {
			errs = append(errs, fmt.Errorf("netns: the device of %s is gone and cannot be had again: %w",
				d.Interface, errors.New(strings.TrimPrefix(err.Error(), "netns: "))))
			continue
		}
		g.mended.Devices++
		g.moved = true
	}
	return errors.Join(errs...)
}

// remake takes one device that is gone, with what it was before.
func (g *Gateway) remake(d spec.Device, was linkFacts) error {
	transit := hashedName("wrn", g.ns.name, d.Interface)
	i := slices.IndexFunc(g.record.Devices, func(s savedDevice) bool { return s.Transit == transit })
	if i < 0 {
		return errors.New("no record of it")
	}
	var err error
	if d.Kind == spec.WholeDevice {
		err = g.retake(d, &g.record.Devices[i])
	} else {
		err = g.makeAgain(d, &g.record.Devices[i], was)
	}
	if err != nil {
		return err
	}
	if err := g.dress(d, g.record.Devices[i], transit); err != nil {
		return err
	}
	l := g.links[d.Interface]
	if err := g.ns.within(func() error { _, err := correct(g.linkSettings(l)); return err }); err != nil {
		return err
	}
	if mac := l.macOf(g.role); mac != nil {
		if err := g.setMAC(d.Interface, l, mac); err != nil {
			return err
		}
	}
	if i, _ := interfaceOf(g.tenant, d.Interface); i.Shutdown {
		return nil
	}
	if err := g.ns.handle.LinkSetUp(linkAt(l)); err != nil {
		return fmt.Errorf("netns: setting %s up: %w", d.Interface, err)
	}
	return nil
}

// retake brings a whole device back: one that somebody has moved out, or that the
// kernel has brought back to the host, keeps its record; another one by that name,
// such as a card that was replaced, gets a new one.
func (g *Gateway) retake(d spec.Device, saved *savedDevice) error {
	if inside := findLink(g.ns.handle, saved.Transit); inside != nil {
		return nil // an earlier try has come so far
	}
	link := findLink(g.host.ns.handle, saved.Transit)
	if link == nil {
		link = g.host.strayed(saved)
	}
	if link == nil {
		var err error
		if link, err = g.host.link(d.Host); err != nil {
			return err
		}
		if !saved.is(link) {
			fresh, err := g.host.note(link)
			if err != nil {
				return err
			}
			fresh.Tenant, fresh.Transit, fresh.Given = saved.Tenant, saved.Transit, saved.Given
			old := *saved
			*saved = fresh
			if err := g.record.write(g.recordPath); err != nil {
				*saved = old
				return fmt.Errorf("netns: writing record: %w", err)
			}
		}
	}
	return g.moveIn(link, *saved)
}

// makeAgain makes a device on its parent again, with the MAC that it had.
func (g *Gateway) makeAgain(d spec.Device, saved *savedDevice, was linkFacts) error {
	parent, err := g.host.link(d.Host)
	if err != nil {
		return err
	}
	if parent.Attrs().Flags&net.FlagUp == 0 && !saved.Raised {
		saved.Raised = true
		if err := g.record.write(g.recordPath); err != nil {
			saved.Raised = false
			return fmt.Errorf("netns: writing record: %w", err)
		}
	}
	for _, place := range []*netlink.Handle{g.ns.handle, g.host.ns.handle} { // what a failure or a move has left
		if left := findMade(place, d.Kind, was.mac, saved.Transit, saved.Tenant); left != nil {
			if err := place.LinkDel(left); err != nil {
				return fmt.Errorf("netns: deleting what is left of it: %w", err)
			}
		}
	}
	if d.Kind == spec.Macvlan && d.MAC.IsZero() && len(was.mac) == len(d.MAC) {
		copy(d.MAC[:], was.mac)
	}
	return g.host.makeAgain(d, parent, saved, g.ns)
}

// findMade returns a device that we have made: of its kind and with its MAC, under
// one of the names.
func findMade(handle *netlink.Handle, kind spec.DeviceKind, mac net.HardwareAddr, names ...string) netlink.Link {
	typ := map[spec.DeviceKind]string{spec.Macvlan: "macvlan", spec.VLAN: "vlan"}[kind]
	for _, name := range names {
		link, err := handle.LinkByName(name)
		if err == nil && link.Type() == typ &&
			(name == names[0] || link.Attrs().HardwareAddr.String() == mac.String()) {
			return link
		}
	}
	return nil
}

// straightenLocked gives the devices that there are what somebody has taken from them:
// names, MACs, the MTUs that are configured, and of those of our own that they are up.
func (g *Gateway) straightenLocked() error {
	list, err := g.ns.handle.LinkList()
	if err != nil {
		return fmt.Errorf("netns: listing devices: %w", err)
	}
	here := make(map[int]netlink.Link, len(list))
	for _, l := range list {
		here[l.Attrs().Index] = l
	}
	var errs []error
	for _, d := range g.devices {
		l, ok := g.links[d.Interface]
		if link := here[l.index]; ok && link != nil {
			errs = append(errs, g.straightenLink(d, l, link))
		}
	}
	for _, own := range []struct {
		link   *linkFacts
		remake func() error
	}{{&g.tun, g.remakeTUN}, {&g.drop, g.remakeDrop}, {&g.lo, nil}} {
		errs = append(errs, g.straightenOwn(own.link, here[own.link.index], own.remake))
	}
	return errors.Join(errs...)
}

// straightenOwn does it for a device of our own: link is what there is of it, or nil,
// and remake makes it again.
func (g *Gateway) straightenOwn(l *linkFacts, link netlink.Link, remake func() error) error {
	if link == nil && remake != nil {
		if err := remake(); err != nil {
			return err
		}
		var err error
		if link, err = g.ns.handle.LinkByIndex(l.index); err != nil {
			return fmt.Errorf("netns: finding %s: %w", l.name, err)
		}
	}
	if link == nil {
		return fmt.Errorf("netns: there is no %s", l.name)
	}
	err := g.rename(*l, link)
	if link.Attrs().Flags&net.FlagUp == 0 {
		err = errors.Join(err, g.raise(*l))
	}
	return err
}

// raise sets a device up.
func (g *Gateway) raise(l linkFacts) error {
	if err := g.ns.handle.LinkSetUp(linkAt(l)); err != nil {
		return fmt.Errorf("netns: setting %s up: %w", l.name, err)
	}
	g.mended.Links++
	return nil
}

// remakeDrop makes the device again that drops what is routed to it.
func (g *Gateway) remakeDrop() error {
	err := g.ns.within(func() error {
		if err := makeDropDevice(); err != nil {
			return err
		}
		_, err := correct([]setting{quietDrop})
		return err
	})
	if err != nil {
		return fmt.Errorf("netns: making %s again: %w", dropName, err)
	}
	link, err := g.ns.handle.LinkByName(dropName)
	if err != nil {
		return fmt.Errorf("netns: finding %s: %w", dropName, err)
	}
	g.drop.index = link.Attrs().Index
	g.mended.Devices++
	return g.ns.handle.LinkSetMTU(linkAt(g.drop), dropMTU)
}

// straightenLink does it for the device of an interface.
func (g *Gateway) straightenLink(d spec.Device, l linkFacts, link netlink.Link) error {
	errs := []error{g.rename(l, link)}
	mac := l.macOf(g.role)
	if mac == nil && !g.paired {
		mac = l.mac
	}
	if len(mac) > 0 && mac.String() != link.Attrs().HardwareAddr.String() {
		if err := g.setMAC(d.Interface, l, mac); err != nil {
			errs = append(errs, err)
		} else {
			g.mended.Links++
			g.moved = true
		}
	}
	if d.MTU > 0 && link.Attrs().MTU != d.MTU {
		if err := g.ns.handle.LinkSetMTU(link, d.MTU); err != nil {
			errs = append(errs, fmt.Errorf("netns: setting the MTU of %s to %d: %w", d.Interface, d.MTU, err))
		} else {
			g.mended.Links++
		}
	}
	return errors.Join(errs...)
}

// rename gives a device the name that rules and settings know it by.
func (g *Gateway) rename(l linkFacts, link netlink.Link) error {
	if link.Attrs().Name == l.name {
		return nil
	}
	err := g.ns.handle.LinkSetName(link, l.name)
	if errors.Is(err, unix.EBUSY) { // before Linux 6.2 it must be down
		err = errors.Join(g.ns.handle.LinkSetDown(link), g.ns.handle.LinkSetName(link, l.name))
		if link.Attrs().Flags&net.FlagUp != 0 {
			err = errors.Join(err, g.ns.handle.LinkSetUp(link))
		}
	}
	if err != nil {
		return fmt.Errorf("netns: giving %s its name back: %w", l.name, err)
	}
	g.mended.Links++
	return nil
}

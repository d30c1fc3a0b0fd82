package netns

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// ErrNoVLAN tells that the kernel has no 802.1Q.
var ErrNoVLAN = errors.New("netns: this kernel has no 802.1Q (CONFIG_VLAN_8021Q), so subinterfaces cannot be made")

// Host is the namespace that warrend runs in, where devices come from and go
// back to. Its methods may be called from several goroutines at once.
type Host struct {
	ns     *Namespace
	system string
	turns  chan struct{} // has one for each tenant whose namespace is looked at just now

	mu      sync.Mutex // protects what follows
	parents map[string]*parent
	packets int // socket for announcements; -1: none yet
}

// parent is a device of the host that devices of tenants stand on.
type parent struct {
	users  int
	raised bool                // it was down before
	vlans  map[string]struct{} // its subinterfaces that tenants share
}

// OpenHost opens the namespace of the process. Names on the host derive from
// the system's.
func OpenHost(system string) (*Host, error) {
	ns, err := current()
	if err != nil {
		return nil, err
	}
	return newHost(ns, system), nil
}

func newHost(ns *Namespace, system string) *Host {
	return &Host{ns: ns, system: system, turns: make(chan struct{}, looksAtOnce), parents: make(map[string]*parent),
		packets: -1}
}

// looksAtOnce is how many namespaces are built, or looked at and changed, at once. The kernel
// does most of that under one lock, for which some system calls wait by trying again and
// again, and each takes 128 KiB of stack for the netlink library.
const looksAtOnce = 1

// turn waits until another namespace may be looked at, and returns what ends that. Roles
// do not wait for it.
func (h *Host) turn() (leave func()) {
	h.turns <- struct{}{}
	return func() { <-h.turns }
}

// Close lets go of the namespace.
func (h *Host) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.packets >= 0 {
		unix.Close(h.packets)
		h.packets = -1
	}
	h.ns.Close()
}

// Check tells what stands against a device before anything is changed. Devices
// that the tenant has already are listed in held.
func (h *Host) Check(d spec.Device, held []string) error {
	if d.VLAN != 0 {
		if err := ProbeVLAN(); err != nil {
			return err
		}
	}
	if d.Kind == spec.WholeDevice {
		for _, name := range held {
			if name == d.Host {
				return nil
			}
		}
	}
	_, err := h.link(d.Host)
	return err
}

// link finds a device of the host.
func (h *Host) link(name string) (netlink.Link, error) {
	link, err := h.ns.handle.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil,
			fmt.Errorf("netns: there is no device %s; `ip link` lists those of the namespace that warrend runs in",
				name)
	}
	if err != nil {
		return nil, fmt.Errorf("netns: finding device %s: %w", name, err)
	}
	if link.Attrs().Flags&net.FlagLoopback != 0 {
		return nil, fmt.Errorf("netns: %s is the loopback device and cannot be given away", name)
	}
	return link, nil
}

// probeVLAN asks the kernel once. A subinterface of nothing is refused for that
// where the kernel knows subinterfaces, and as unknown where it does not.
var probeVLAN = sync.OnceValue(func() error {
	vlan := &netlink.Vlan{LinkAttrs: netlink.NewLinkAttrs(), VlanId: 1}
	vlan.Name = "warren-probe"
	switch err := netlink.LinkAdd(vlan); {
	case errors.Is(err, unix.EOPNOTSUPP):
		return ErrNoVLAN
	case err == nil:
		return netlink.LinkDel(vlan)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENODEV):
		return nil
	default:
		return fmt.Errorf("netns: probing for 802.1Q: %w", err)
	}
})

// ProbeVLAN returns ErrNoVLAN where subinterfaces cannot be made.
func ProbeVLAN() error { return probeVLAN() }

// hardware is a MAC as the kernel's interfaces take it; nil for none.
func hardware(m spec.MAC) net.HardwareAddr {
	if m.IsZero() {
		return nil
	}
	return net.HardwareAddr(m[:])
}

// maxDeviceName is IFNAMSIZ less its terminating zero.
const maxDeviceName = unix.IFNAMSIZ - 1

// deviceName is what the kernel calls an interface in the tenant's namespace:
// the tenant's name for it wherever the kernel can have that.
func deviceName(iface string) string {
	legal := len(iface) > 0 && len(iface) <= maxDeviceName && !strings.ContainsAny(iface, "/:% \t\n\x00")
	if legal && iface != "." && iface != ".." && iface != "lo" && iface != tunName && iface != "all" &&
		iface != "default" {
		return iface
	}
	return hashedName("if", iface)
}

func hashedName(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return prefix + hex.EncodeToString(sum[:])[:10]
}

// plan finds a device of the host, and what has to be noted before it is touched.
func (g *Gateway) plan(d spec.Device) (link netlink.Link, saved savedDevice, err error) {
	saved = savedDevice{Kind: d.Kind, Host: d.Host}
	if link, err = g.host.link(d.Host); err != nil {
		return nil, saved, err
	}
	if d.Kind == spec.WholeDevice {
		if saved, err = g.host.note(link); err != nil {
			return nil, saved, err
		}
		for _, mac := range []spec.MAC{d.MAC, d.ActiveMAC, d.StandbyMAC} {
			if !mac.IsZero() {
				saved.Given = append(saved.Given, hardware(mac).String())
			}
		}
	} else {
		saved.Raised = link.Attrs().Flags&net.FlagUp == 0
	}
	saved.Tenant = deviceName(d.Interface)
	saved.Transit = hashedName("wrn", g.ns.name, d.Interface)
	if d.Kind == spec.Macvlan && d.VLAN != 0 {
		saved.SharedVLAN = hashedName("wrv", g.host.system, d.Host, fmt.Sprint(d.VLAN))
	}
	return link, saved, nil
}

// take brings a device of the host, or one that is made on it, into the namespace. The
// record has been written before.
func (g *Gateway) take(d spec.Device, link netlink.Link, saved savedDevice) error {
	if d.Kind == spec.WholeDevice {
		if err := g.moveIn(link, saved); err != nil {
			return err
		}
		return g.dress(d, saved, saved.Transit)
	}
	lower, err := g.host.make(d, link, &saved, g.ns)
	if err != nil {
		return err
	}
	if err := g.dress(d, saved, saved.Tenant); err != nil {
		return err
	}
	l := g.links[d.Interface]
	l.lower = lower
	g.links[d.Interface] = l
	return nil
}

// note notes how a device of the host is.
func (h *Host) note(link netlink.Link) (savedDevice, error) {
	saved, err := save(h.ns.handle, link)
	if err != nil {
		return saved, fmt.Errorf("netns: noting how %s is: %w", link.Attrs().Name, err)
	}
	if err := saved.saveSettings(h.ns); err != nil {
		return saved, fmt.Errorf("netns: noting how %s is set: %w", link.Attrs().Name, err)
	}
	return saved, nil
}

// moveIn moves a whole device, under a name that nobody else has.
func (g *Gateway) moveIn(link netlink.Link, saved savedDevice) error {
	host := g.host.ns.handle
	if err := host.LinkSetDown(link); err != nil {
		return fmt.Errorf("netns: setting %s down: %w", saved.Host, err)
	}
	if err := host.LinkSetName(link, saved.Transit); err != nil {
		return fmt.Errorf("netns: renaming %s: %w", saved.Host, err)
	}
	if err := host.LinkSetNsFd(link, int(g.ns.file.Fd())); err != nil {
		host.LinkSetName(link, saved.Host)
		return fmt.Errorf("netns: moving %s to %s: %w", saved.Host, g.ns.name, err)
	}
	return nil
}

// make creates a device on another, directly in the tenant's namespace, which is new: the
// name is free there. It returns the index on the host of what a shared device shares; 0 for
// others.
func (h *Host) make(d spec.Device, on netlink.Link, saved *savedDevice, ns *Namespace) (lower int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parentLocked(saved).users++
	return h.makeLocked(d, on, saved, ns, saved.Tenant)
}

// makeAgain is make for a device that is gone, whose user the parent still counts. Another
// one may have its name, so that it has the one that it is known by alone.
func (h *Host) makeAgain(d spec.Device, on netlink.Link, saved *savedDevice, ns *Namespace) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parentLocked(saved) // it may have been set up for us this time
	_, err := h.makeLocked(d, on, saved, ns, saved.Transit)
	return err
}

func (h *Host) makeLocked(d spec.Device, on netlink.Link, saved *savedDevice, ns *Namespace, name string) (
	lower int, err error,
) {
	if on.Attrs().Flags&net.FlagUp == 0 { // nothing comes up on a device that is down
		if err := h.ns.handle.LinkSetUp(on); err != nil {
			return 0, fmt.Errorf("netns: setting %s up: %w", d.Host, err)
		}
	}
	if saved.SharedVLAN != "" {
		shared, err := h.sharedVLANLocked(d, on, saved.SharedVLAN)
		if err != nil {
			return 0, err
		}
		on = shared
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = name, on.Attrs().Index
	attrs.Namespace = netlink.NsFd(ns.file.Fd())
	attrs.HardwareAddr = hardware(d.MAC)
	if d.Kind == spec.VLAN {
		return 0, addLink(h.ns.handle, &netlink.Vlan{LinkAttrs: attrs, VlanId: d.VLAN}, d)
	}
	shared := &netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}
	return attrs.ParentIndex, addLink(h.ns.handle, shared, d)
}

// parentLocked returns what is known of the device that saved stands on.
func (h *Host) parentLocked(saved *savedDevice) *parent {
	p := h.parents[saved.Host]
	if p == nil {
		p = &parent{vlans: make(map[string]struct{})}
		h.parents[saved.Host] = p
	}
	p.raised = p.raised || saved.Raised
	if saved.SharedVLAN != "" {
		p.vlans[saved.SharedVLAN] = struct{}{}
	}
	return p
}

// release undoes, when the last user of a parent leaves, what was done to it.
func (h *Host) release(saved *savedDevice) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.parentLocked(saved)
	if p.users--; p.users > 0 {
		return nil
	}
	delete(h.parents, saved.Host)
	var errs []error
	for name := range p.vlans {
		if link := findLink(h.ns.handle, name); link != nil {
			errs = append(errs, h.ns.handle.LinkDel(link))
		}
	}
	if link := findLink(h.ns.handle, saved.Host); link != nil && p.raised {
		errs = append(errs, h.ns.handle.LinkSetDown(link))
	}
	return errors.Join(errs...)
}

func addLink(handle *netlink.Handle, link netlink.Link, d spec.Device) error {
	err := handle.LinkAdd(link)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP) && link.Type() == "vlan":
		if err := ProbeVLAN(); err != nil {
			return err
		}
		return fmt.Errorf("netns: %s is of a kind that cannot have 802.1Q subinterfaces", d.Host)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("netns: this kernel has no %s (CONFIG_MACVLAN), so %s cannot be shared", link.Type(), d.Host)
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("netns: %s has a %s of that kind already (VLAN %d)", d.Host, link.Type(), d.VLAN)
	}
	return fmt.Errorf("netns: making a %s on %s: %w", link.Type(), d.Host, err)
}

// sharedVLANLocked returns the subinterface that several tenants share.
func (h *Host) sharedVLANLocked(d spec.Device, on netlink.Link, name string) (netlink.Link, error) {
	if link := findLink(h.ns.handle, name); link != nil {
		return link, nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = name, on.Attrs().Index
	if err := addLink(h.ns.handle, &netlink.Vlan{LinkAttrs: attrs, VlanId: d.VLAN}, d); err != nil {
		return nil, err
	}
	link, err := h.ns.handle.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("netns: finding %s: %w", name, err)
	}
	if err := h.ns.handle.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("netns: setting %s up: %w", name, err)
	}
	return link, nil
}

// dress gives a device in the namespace, which has a name there already, its own name, MAC
// and MTU.
func (g *Gateway) dress(d spec.Device, saved savedDevice, name string) error {
	handle := g.ns.handle
	link, err := handle.LinkByName(name)
	if err != nil {
		return fmt.Errorf("netns: finding %s in %s: %w", d.Interface, g.ns.name, err)
	}
	if name != saved.Tenant {
		if err := handle.LinkSetName(link, saved.Tenant); err != nil {
			return fmt.Errorf("netns: naming %s: %w", d.Interface, err)
		}
	}
	mac := hardware(d.MAC)
	if mac != nil && mac.String() != link.Attrs().HardwareAddr.String() {
		if err := handle.LinkSetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("netns: setting the MAC of %s: %w", d.Interface, err)
		}
	}
	mtu := link.Attrs().MTU
	if d.MTU > 0 && d.MTU != mtu {
		if err := handle.LinkSetMTU(link, d.MTU); err != nil {
			return fmt.Errorf("netns: setting the MTU of %s to %d: %w", d.Interface, d.MTU, err)
		}
		mtu = d.MTU
	}
	if mac == nil {
		mac = link.Attrs().HardwareAddr
	}
	g.links[d.Interface] = linkFacts{name: saved.Tenant, index: link.Attrs().Index, mtu: mtu, mac: mac,
		active: hardware(d.ActiveMAC), standby: hardware(d.StandbyMAC)}
	return nil
}

// giveBack returns what a record says was taken; ns may be nil when the
// namespace is gone. It goes on after an error.
func (h *Host) giveBack(r *record, ns *Namespace) error {
	var errs []error
	for i := len(r.Devices) - 1; i >= 0; i-- {
		d := &r.Devices[i]
		if err := h.giveBackOne(d, ns); err != nil {
			errs = append(errs, fmt.Errorf("netns: giving %s back: %w", d.Host, err))
		}
	}
	return errors.Join(errs...)
}

func (h *Host) giveBackOne(d *savedDevice, ns *Namespace) error {
	var inside netlink.Link
	if ns != nil {
		inside = findLink(ns.handle, d.Tenant, d.Transit)
	}
	if d.Kind != spec.WholeDevice {
		var err error
		if inside != nil {
			err = ns.handle.LinkDel(inside)
		}
		return errors.Join(err, h.release(d))
	}
	if inside != nil {
		if err := moveOut(ns, inside, d, h.ns.file); err != nil {
			return err
		}
	}
	link := findLink(h.ns.handle, d.Transit)
	if link == nil && inside == nil {
		link = h.strayed(d)
	}
	if link == nil { // never moved, or destroyed together with its namespace
		return nil
	}
	// Settings come first: they say how it comes up.
	renamed := h.ns.handle.LinkSetName(link, d.Host)
	if renamed != nil {
		return fmt.Errorf("renaming %s back to %s: %w", link.Attrs().Name, d.Host, renamed)
	}
	return errors.Join(d.restoreSettings(h.ns), d.restore(h.ns.handle, link))
}

// strayed finds a device of the machine that the kernel has brought back by itself,
// when its namespace went, or somebody who moved it out: it has the name that the tenant had for it, or a number
// where that was taken, and is down.
func (h *Host) strayed(d *savedDevice) netlink.Link {
	if d.MAC == "" || findLink(h.ns.handle, d.Host) != nil {
		return nil
	}
	list, err := h.ns.handle.LinkList()
	if err != nil {
		return nil
	}
	var found []netlink.Link
	for _, l := range list {
		a := l.Attrs()
		number, stray := strings.CutPrefix(a.Name, "dev")
		if _, err := strconv.Atoi(number); err != nil {
			stray = false
		}
		if (stray || a.Name == d.Tenant) && a.Flags&net.FlagUp == 0 && d.is(l) {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// moveOut brings a device back to the host's namespace under its transit name.
func moveOut(ns *Namespace, link netlink.Link, d *savedDevice, host *os.File) error {
	if err := ns.handle.LinkSetDown(link); err != nil {
		return err
	}
	if err := ns.handle.LinkSetName(link, d.Transit); err != nil {
		return err
	}
	return ns.handle.LinkSetNsFd(link, int(host.Fd()))
}

// findLink returns the first device that there is.
func findLink(handle *netlink.Handle, names ...string) netlink.Link {
	for _, name := range names {
		if link, err := handle.LinkByName(name); err == nil {
			return link
		}
	}
	return nil
}

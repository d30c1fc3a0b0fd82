package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/resource"
)

const (
	// tunName is the TUN device in every tenant's namespace.
	tunName = "ipsec0"
	// dropName is the device in every tenant's namespace that nobody reads from:
	// what is routed there is dropped and counted.
	dropName = "drop0"
	// minTUN is the least MTU of a TUN device: that of IPv6.
	minTUN = 1280
	// defaultMTU is assumed where no interface has a crypto map.
	defaultMTU = 1500
	// overhead bounds what tunnel mode adds: outer IPv4, UDP, ESP header, IV,
	// padding and the longest ICV; overheadV6 with outer IPv6.
	overhead, overheadV6 = 100, 120
)

// dummyAddress is on every TUN device (RFC 7600 section 4.8): when the last
// IPv4 address leaves a device, the kernel takes all routes through it away.
// Its scope keeps it from ever being chosen as a source.
var dummyAddress = netip.MustParsePrefix("192.0.0.8/32")

// Config describes the network of one tenant.
type Config struct {
	Host      *Host
	Namespace string // name of the namespace to make
	// Record is the file that remembers what was taken from the host until it
	// is given back.
	Record  string
	Devices []spec.Device // one for each of Tenant.Interfaces
	Tenant  *spec.Tenant
	// Paired makes the tenant one of a pair: it begins with the role init, and its
	// devices have an Active and a Standby MAC each.
	Paired bool
	// First says that none of the tenants of the host has been there for longer: then
	// none of them knows anything of an address from before, and none is told.
	First bool
	// Attempt calls what the Gateway does of its own accord (the watch over the
	// namespace, with what WatchLinks calls, and looks at it), and returns its error,
	// or one of its own in place of a panic: it is the only one who hears of it. Nil
	// calls it and no more.
	Attempt func(func() error) error
	// Looked is told what has come of a look that the Gateway took by itself, where
	// that is something. It comes from the Gateway's own goroutine. Nil: nobody is.
	Looked func(Look)
}

// Endpoint is a descriptor for the worker. It stays the Gateway's.
type Endpoint struct {
	control.Descriptor
	File *os.File            // nil: an earlier process has opened it
	Kept *fdstore.Descriptor // where there is no File; nil: it was not kept, which a TUN can do without
}

// Dup returns a file of a copy of the descriptor, to be passed on at once. It is the
// caller's.
func (e Endpoint) Dup() (*os.File, error) {
	if e.Kept != nil {
		return e.Kept.Dup(string(e.Kind))
	}
	raw, err := e.File.SyscallConn()
	if err != nil {
		return nil, err
	}
	var f *os.File
	var failed error
	err = raw.Control(func(fd uintptr) {
		var own int
		if own, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); failed == nil {
			f = os.NewFile(uintptr(own), string(e.Kind))
		}
	})
	return f, errors.Join(err, failed)
}

// Close closes the descriptor.
func (e Endpoint) Close() {
	e.Kept.Close()
	if e.File != nil {
		e.File.Close()
	}
}

// Gateway is the network of one tenant. Its methods may be called from several
// goroutines at once.
type Gateway struct {
	host       *Host
	ns         *Namespace
	recordPath string
	record     record
	devices    []spec.Device
	links      map[string]linkFacts // by the tenant's name
	families   []int                // those that the kernel has
	lo         linkFacts
	tun, drop  linkFacts
	endpoints  []Endpoint // replaced as a whole, under mu
	paired     bool
	packets    int            // socket for announcements; -1: none
	removed    chan struct{}  // closed by Remove
	owned      sync.WaitGroup // announcements that are under way, and tend

	nudged  chan struct{} // has something while tend is to look, although nothing has changed here
	lacking atomic.Bool   // something could not be mended at the last look

	attempt  func(func() error) error
	looked   func(Look)
	watching sync.Mutex // protects watchers; nothing else is locked under it
	watchers map[*int]func()

	mu           sync.Mutex   // protects what follows, and the order of changes to routes
	installed    []route      // in the order of places
	up, running  map[int]bool // by index: the devices that there are: they are up, and have a carrier, too
	asked        requests
	holding      bool                      // asked is not complete: nothing is taken away that it may still name
	proxies      map[int]proxy             // by index: what devices were set to since Update
	carried      map[netip.Prefix]struct{} // what tunnels have carried
	sites        sites                     // of tenant
	limits       spec.Limits
	gone         bool // by Remove: ns leads nowhere
	static       int  // routes of the configuration
	routeUse     resource.Meter
	macUse       resource.Meter
	tenant       *spec.Tenant
	role         failover.Role        // active where there is no twin
	announcement int                  // counts them: an older one is over
	lowered      map[string]time.Time // by interface: when we set its device down
	mended       Mended               // counts what was put back since the look began
	moved        bool                 // an address or a device was: neighbours have to be told
	known        knowledge
}

// linkFacts is what a device in the namespace is.
type linkFacts struct {
	name  string
	index int
	mtu   int
	lower int // on the host, of what it shares; 0: nothing, or unknown

	mac             net.HardwareAddr // when it came
	active, standby net.HardwareAddr // of one of a pair
}

// Build makes the network of a tenant. On error nothing of it is left.
func Build(cfg *Config) (*Gateway, error) {
	ns, err := Create(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	g := newGateway(cfg, ns)
	w, err := g.build(cfg)
	if err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	g.owned.Go(func() { g.tend(w) })
	if !cfg.Paired { // neighbours may know another MAC from before
		g.mu.Lock()
		g.announceLocked(audience(!cfg.First))
		g.mu.Unlock()
	}
	return g, nil
}

// newGateway returns the Gateway of a namespace, which it knows nothing of.
func newGateway(cfg *Config, ns *Namespace) *Gateway {
	g := &Gateway{
		host: cfg.Host, ns: ns, recordPath: cfg.Record,
		record: record{Namespace: cfg.Namespace},
		links:  make(map[string]linkFacts), devices: cfg.Devices, watchers: make(map[*int]func()),
		asked: newRequests(), proxies: make(map[int]proxy),
		carried: make(map[netip.Prefix]struct{}),
		known:   knowledge{rules: make(map[int]uint64)},
		attempt: cfg.Attempt, looked: cfg.Looked, nudged: make(chan struct{}, 1),
		paired: cfg.Paired, packets: -1, removed: make(chan struct{}),
		lowered: make(map[string]time.Time), tenant: cfg.Tenant, role: failover.RoleActive,
	}
	if g.attempt == nil {
		g.attempt = func(do func() error) error { return do() }
	}
	if g.looked == nil {
		g.looked = func(Look) {}
	}
	if cfg.Paired {
		g.role = failover.RoleInit
	}
	return g
}

// build is the list of steps, each of which Remove can undo half done. It returns the watch
// over what it has made.
func (g *Gateway) build(cfg *Config) (*watch, error) {
	planned := record{Namespace: cfg.Namespace}
	links := make([]netlink.Link, len(cfg.Devices))
	for i, d := range cfg.Devices {
		link, saved, err := g.plan(d)
		if err != nil {
			return nil, err
		}
		links[i], planned.Devices = link, append(planned.Devices, saved)
	}
	if err := planned.write(g.recordPath); err != nil {
		return nil, fmt.Errorf("netns: writing record: %w", err)
	}
	defer g.host.turn()()
	if err := g.ns.within(setDefaults); err != nil {
		return nil, err
	}
	for i, d := range cfg.Devices {
		g.record.Devices = planned.Devices[:i+1] // those that Remove gives back
		if err := g.take(d, links[i], planned.Devices[i]); err != nil {
			return nil, err
		}
	}
	mtu := TUNMTU(cfg.Tenant, func(iface string) int { return g.links[iface].mtu })
	err := g.ns.within(func() (err error) {
		if err := g.prepare(mtu); err != nil {
			return err
		}
		if g.packets, err = openPackets(); err != nil {
			return err
		}
		return g.openSockets(cfg.Tenant)
	})
	if err != nil {
		return nil, err
	}
	if err := g.findDevices(); err != nil {
		return nil, err
	}
	return g.furnish(cfg.Tenant)
}

// furnish makes a new namespace what t says: the steps of Update, less those that put back
// what somebody has taken. It returns the watch over it. The caller has the turn.
func (g *Gateway) furnish(t *spec.Tenant) (*watch, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits, g.static = t.Limits, len(t.Routes)
	g.countRoutesLocked()
	g.replaceLocked(t)
	w, err := g.ns.watch(allGroups, g.drop.index)
	if err != nil {
		return nil, err
	}
	g.known.watchedLocked(w)
	if err := errors.Join(g.startLocked(), g.settleLocked()); err != nil {
		g.known.unwatchedLocked()
		w.close()
		return nil, err
	}
	g.moved = false // Build announces all
	g.lookedLocked(true, nil)
	return w, nil
}

// startLocked sets the devices of a new namespace up, which are as Build has made them, but
// those of interfaces that are configured to be down, and before that what they are not set to
// by default.
func (g *Gateway) startLocked() error {
	var errs []error
	var quiet []linkFacts
	if slices.Contains(g.families, unix.AF_INET6) {
		quiet = append(quiet, g.tun, g.drop)
		for _, l := range g.links {
			if g.paired {
				quiet = append(quiet, l)
			}
		}
	}
	raised := []linkFacts{g.tun, g.drop, g.lo}
	for _, i := range g.tenant.Interfaces {
		l, ok := g.links[i.Name]
		switch {
		case !ok:
		case !i.Shutdown:
			raised = append(raised, l)
		default:
			if err := g.ns.handle.LinkSetDown(linkAt(l)); err != nil {
				errs = append(errs, fmt.Errorf("netns: setting %s down: %w", l.name, err))
			}
		}
	}
	var b batch
	for _, l := range quiet {
		b.quiet(l.index)
	}
	for _, l := range raised {
		b.setUp(l.index)
	}
	changed := slices.Concat(quiet, raised)
	for i, err := range g.ns.run(&b) {
		if err != nil {
			errs = append(errs, fmt.Errorf("netns: setting %s up: %w", changed[i].name, err))
		}
	}
	return errors.Join(errs...)
}

// prepare does what needs a thread inside: the TUN device and the one that drops.
func (g *Gateway) prepare(mtu int) error {
	var err error
	if g.endpoints, err = openTUN(mtu); err != nil {
		return err
	}
	if err := makeDropDevice(); err != nil {
		return fmt.Errorf("netns: making %s: %w", dropName, err)
	}
	g.families = families()
	return nil
}

// makeDropDevice makes a TUN device that stays without a reader.
func makeDropDevice() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(dropName)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
}

// dropMTU lets every packet in, so that none is answered by "too big".
const dropMTU = 65535

// findDevices notes the devices of the namespace that are no interfaces.
func (g *Gateway) findDevices() error {
	list, err := g.ns.links()
	if err != nil {
		return err
	}
	own := map[string]*linkFacts{tunName: &g.tun, dropName: &g.drop, "lo": &g.lo}
	for _, l := range list {
		if facts := own[l.name]; facts != nil {
			*facts = linkFacts{name: l.name, index: l.index, mtu: l.mtu}
			delete(own, l.name)
		}
	}
	for name := range own {
		return fmt.Errorf("netns: finding %s: there is none", name)
	}
	if err := g.ns.handle.LinkSetMTU(linkAt(g.drop), dropMTU); err != nil {
		return fmt.Errorf("netns: setting the MTU of %s: %w", dropName, err)
	}
	return nil
}

// linkAt is what netlink needs to know of a device.
func linkAt(l linkFacts) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: l.name, Index: l.index}}
}

// Namespace is where the worker runs.
func (g *Gateway) Namespace() *Namespace { return g.ns }

// Link returns the kernel's name, MAC and MTU of one of the tenant's interfaces.
func (g *Gateway) Link(iface string) (device, mac string, mtu int) {
	g.mu.Lock()
	l, ok := g.links[iface]
	g.mu.Unlock()
	if !ok {
		return "", "", 0
	}
	link, err := g.ns.handle.LinkByIndex(l.index)
	if err != nil {
		return l.name, "", l.mtu
	}
	return link.Attrs().Name, link.Attrs().HardwareAddr.String(), link.Attrs().MTU
}

// Remove closes the descriptors, gives every device back and deletes the
// namespace. If a device cannot be given back the record stays.
func (g *Gateway) Remove() error {
	g.stop()
	g.closePackets()
	for _, e := range g.endpoints {
		e.Close()
	}
	g.endpoints = nil
	return g.host.remove(&g.record, g.recordPath, g.ns)
}

// stop ends what the Gateway does by itself.
func (g *Gateway) stop() {
	g.mu.Lock()
	g.gone = true
	g.mu.Unlock()
	close(g.removed)
	g.owned.Wait()
}

func (h *Host) remove(r *record, path string, ns *Namespace) error {
	err := h.giveBack(r, ns)
	if ns != nil && err != nil {
		ns.Close() // devices that could not leave would be destroyed with it
		return err
	}
	if ns != nil {
		err = ns.Delete()
	}
	if rmErr := os.Remove(path); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("netns: removing record: %w", rmErr))
	}
	return err
}

// Recover undoes what an earlier process, which did not come to it, has left
// behind according to a record. The workers in the namespace must be gone.
func (h *Host) Recover(path string) error {
	r, err := readRecord(path)
	if err != nil {
		return err
	}
	ns, err := Open(r.Namespace)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return h.remove(r, path, ns)
}

// Pending are the records in dir.
func Pending(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("netns: listing records: %w", err)
	}
	return paths, nil
}

// TUNMTU is the MTU of a tenant's TUN device: what is configured, or what fits
// through the narrowest interface with a crypto map.
func TUNMTU(t *spec.Tenant, mtuOf func(iface string) int) int {
	if t.DataPlane.MTU > 0 {
		return t.DataPlane.MTU
	}
	least := 0
	for _, m := range t.CryptoMaps {
		i, ok := interfaceOf(t, m.Interface)
		if !ok {
			continue
		}
		mtu, cost := mtuOf(m.Interface), overhead
		if mtu == 0 {
			mtu = defaultMTU
		}
		for _, p := range i.Addresses {
			if p.Addr().Is6() {
				cost = overheadV6
			}
		}
		if least == 0 || mtu-cost < least {
			least = mtu - cost
		}
	}
	if least == 0 {
		least = defaultMTU - overhead
	}
	return max(least, minTUN)
}

func interfaceOf(t *spec.Tenant, name string) (spec.Interface, bool) {
	for _, i := range t.Interfaces {
		if i.Name == name {
			return i, true
		}
	}
	return spec.Interface{}, false
}

// String names the gateway in logs.
func (g *Gateway) String() string {
	return "network of " + strconv.Quote(g.ns.name)
}

// Do runs fn in the gateway's namespace: see Namespace.Do.
func (g *Gateway) Do(fn func() error) error { return g.ns.Do(fn) }

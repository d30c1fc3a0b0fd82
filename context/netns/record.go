package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// record is what is needed to give back what a tenant's namespace has taken.
// It is on disk before anything is taken.
type record struct {
	Namespace string        `json:"namespace"`
	Devices   []savedDevice `json:"devices"`
}

// savedDevice is one device of the namespace, as it was on the host.
type savedDevice struct {
	Kind    spec.DeviceKind `json:"kind"`
	Host    string          `json:"host"`    // name on the host; of a made one: of its parent
	Transit string          `json:"transit"` // name on the way between namespaces
	Tenant  string          `json:"tenant"`  // name in the namespace

	// The next two are for a made device: its parent was down, and it stands on
	// a subinterface that tenants share.
	Raised     bool   `json:"raised,omitempty"`
	SharedVLAN string `json:"shared_vlan,omitempty"`

	// The rest is for a whole device.
	Up        bool           `json:"up,omitempty"`
	Promisc   bool           `json:"promisc,omitempty"`
	AllMulti  bool           `json:"allmulti,omitempty"`
	MTU       int            `json:"mtu,omitempty"`
	MAC       string         `json:"mac,omitempty"`
	Given     []string       `json:"given,omitempty"` // MACs that it may have from us
	Master    string         `json:"master,omitempty"`
	Addresses []savedAddress `json:"addresses,omitempty"`
	Routes    []savedRoute   `json:"routes,omitempty"`
	// Settings are files under /proc/sys/net of the device, by what stands before
	// and behind its name: "ipv6/conf//accept_ra".
	Settings map[string]string `json:"settings,omitempty"`
}

// keptSettings are those that a device loses in another namespace.
var keptSettings = []string{
	"ipv4/conf//accept_local", "ipv4/conf//accept_redirects", "ipv4/conf//accept_source_route",
	"ipv4/conf//arp_announce",
	"ipv4/conf//arp_filter", "ipv4/conf//arp_ignore", "ipv4/conf//arp_notify", "ipv4/conf//forwarding",
	"ipv4/conf//log_martians",
	"ipv4/conf//promote_secondaries", "ipv4/conf//proxy_arp", "ipv4/conf//route_localnet", "ipv4/conf//rp_filter",
	"ipv4/conf//secure_redirects", "ipv4/conf//send_redirects", "ipv4/conf//src_valid_mark",
	"ipv6/conf//accept_dad", "ipv6/conf//accept_ra", "ipv6/conf//accept_ra_defrtr", "ipv6/conf//accept_ra_pinfo",
	"ipv6/conf//accept_redirects", "ipv6/conf//addr_gen_mode", "ipv6/conf//autoconf", "ipv6/conf//disable_ipv6",
	"ipv6/conf//forwarding", "ipv6/conf//keep_addr_on_down", "ipv6/conf//proxy_ndp", "ipv6/conf//use_tempaddr",
}

// settingFile is the path of one of the keptSettings.
func settingFile(key, device string) string {
	return filepath.Join("/proc/sys/net", strings.Replace(key, "//", "/"+device+"/", 1))
}

// saveSettings notes the settings of a device of the host. What the kernel does not
// have is not noted.
func (d *savedDevice) saveSettings(host *Namespace) error {
	d.Settings = make(map[string]string)
	return host.within(func() error {
		for _, key := range keptSettings {
			if value, err := os.ReadFile(settingFile(key, d.Host)); err == nil {
				d.Settings[key] = strings.TrimSpace(string(value))
			}
		}
		return nil
	})
}

// restoreSettings sets what is another value now.
func (d *savedDevice) restoreSettings(host *Namespace) error {
	return host.within(func() error {
		var errs []error
		for _, key := range keptSettings {
			value, noted := d.Settings[key]
			file := settingFile(key, d.Host)
			now, err := os.ReadFile(file)
			if !noted || err != nil || strings.TrimSpace(string(now)) == value {
				continue
			}
			if err := os.WriteFile(file, []byte(value), 0); err != nil {
				errs = append(errs, fmt.Errorf("giving %s its setting %s back: %w", d.Host, key, err))
			}
		}
		return errors.Join(errs...)
	})
}

type savedAddress struct {
	Prefix    netip.Prefix `json:"prefix"`
	Peer      netip.Prefix `json:"peer,omitzero"`
	Broadcast netip.Addr   `json:"broadcast,omitzero"`
	Scope     int          `json:"scope,omitempty"`
}

type savedRoute struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway,omitzero"`
	Source      netip.Addr   `json:"source,omitzero"`
	Metric      int          `json:"metric,omitempty"`
	Table       int          `json:"table"`
	Protocol    int          `json:"protocol"`
	Scope       int          `json:"scope,omitempty"`
	Flags       int          `json:"flags,omitempty"`
}

// is reports whether a device is the one that was noted.
func (d *savedDevice) is(link netlink.Link) bool {
	a := link.Attrs()
	return slices.ContainsFunc(append([]string{d.MAC}, d.Given...), func(mac string) bool {
		return mac != "" && (a.HardwareAddr.String() == mac || a.PermHWAddr.String() == mac)
	})
}

// write replaces the record at path, all or nothing.
func (r *record) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func readRecord(path string) (*record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("netns: reading record: %w", err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("netns: record %s: %w", filepath.Base(path), err)
	}
	return &r, nil
}

// save notes how a device of the host is.
func save(host *netlink.Handle, link netlink.Link) (savedDevice, error) {
	attrs := link.Attrs()
	d := savedDevice{
		Kind: spec.WholeDevice, Host: attrs.Name,
		Up: attrs.Flags&net.FlagUp != 0, Promisc: attrs.RawFlags&unix.IFF_PROMISC != 0,
		AllMulti: attrs.RawFlags&unix.IFF_ALLMULTI != 0, MTU: attrs.MTU, MAC: attrs.HardwareAddr.String(),
	}
	if attrs.MasterIndex != 0 {
		if master, err := host.LinkByIndex(attrs.MasterIndex); err == nil {
			d.Master = master.Attrs().Name
		}
	}
	addrs, err := host.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return d, fmt.Errorf("listing addresses of %s: %w", attrs.Name, err)
	}
	for _, a := range addrs {
		if a.IP.IsLinkLocalUnicast() && a.IP.To4() == nil {
			continue // made by the kernel
		}
		s := savedAddress{Prefix: prefixOf(a.IPNet), Scope: a.Scope, Broadcast: addrOf(a.Broadcast)}
		if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
			s.Peer = prefixOf(a.Peer)
		}
		d.Addresses = append(d.Addresses, s)
	}
	filter := &netlink.Route{LinkIndex: attrs.Index, Table: unix.RT_TABLE_UNSPEC}
	routes, err := host.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return d, fmt.Errorf("listing routes of %s: %w", attrs.Name, err)
	}
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_KERNEL || r.Table == unix.RT_TABLE_LOCAL || r.Type != unix.RTN_UNICAST ||
			r.Dst == nil {
			continue
		}
		d.Routes = append(d.Routes, savedRoute{
			Destination: prefixOf(r.Dst), Gateway: addrOf(r.Gw), Source: addrOf(r.Src), Metric: r.Priority,
			Table: r.Table, Protocol: int(r.Protocol), Scope: int(r.Scope), Flags: r.Flags & unix.RTNH_F_ONLINK,
		})
	}
	return d, nil
}

// restore makes a device on the host, which has its name again, what it was.
func (d *savedDevice) restore(host *netlink.Handle, link netlink.Link) error {
	if mac, err := net.ParseMAC(d.MAC); err == nil && len(mac) > 0 &&
		mac.String() != link.Attrs().HardwareAddr.String() {
		if err := host.LinkSetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("giving %s its MAC back: %w", d.Host, err)
		}
	}
	if d.MTU > 0 && d.MTU != link.Attrs().MTU {
		if err := host.LinkSetMTU(link, d.MTU); err != nil {
			return fmt.Errorf("giving %s its MTU back: %w", d.Host, err)
		}
	}
	if d.Promisc != (link.Attrs().RawFlags&unix.IFF_PROMISC != 0) {
		do := host.SetPromiscOn
		if !d.Promisc {
			do = host.SetPromiscOff
		}
		if err := do(link); err != nil {
			return fmt.Errorf("giving %s back whether it is promiscuous: %w", d.Host, err)
		}
	}
	if d.AllMulti != (link.Attrs().RawFlags&unix.IFF_ALLMULTI != 0) {
		do := host.LinkSetAllmulticastOn
		if !d.AllMulti {
			do = host.LinkSetAllmulticastOff
		}
		if err := do(link); err != nil {
			return fmt.Errorf("giving %s back whether it takes all multicast: %w", d.Host, err)
		}
	}
	if d.Master != "" {
		if master, err := host.LinkByName(d.Master); err == nil {
			if err := host.LinkSetMaster(link, master); err != nil {
				return fmt.Errorf("giving %s back to %s: %w", d.Host, d.Master, err)
			}
		}
	}
	for _, a := range d.Addresses {
		if err := host.AddrReplace(link, a.addr()); err != nil {
			return fmt.Errorf("giving %s its address %s back: %w", d.Host, a.Prefix, err)
		}
	}
	if !d.Up {
		return nil
	}
	if err := host.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up: %w", d.Host, err)
	}
	for _, r := range d.Routes {
		if err := host.RouteReplace(r.route(link.Attrs().Index)); err != nil {
			return fmt.Errorf("giving %s its route to %s back: %w", d.Host, r.Destination, err)
		}
	}
	return nil
}

func (a *savedAddress) addr() *netlink.Addr {
	out := &netlink.Addr{IPNet: ipNet(a.Prefix), Scope: a.Scope}
	if a.Peer.IsValid() {
		out.Peer = ipNet(a.Peer)
	}
	if a.Prefix.Addr().Is4() {
		out.Broadcast = net.IPv4zero // none; without it the library makes one up
	}
	if a.Broadcast.IsValid() {
		out.Broadcast = a.Broadcast.AsSlice()
	}
	if a.Prefix.Addr().Is6() {
		out.Flags = unix.IFA_F_NODAD
	}
	return out
}

func (r *savedRoute) route(index int) *netlink.Route {
	return &netlink.Route{
		LinkIndex: index, Dst: ipNet(r.Destination), Gw: r.Gateway.AsSlice(), Src: r.Source.AsSlice(),
		Priority: r.Metric,
		Table:    r.Table, Protocol: netlink.RouteProtocol(r.Protocol), Scope: netlink.Scope(r.Scope), Flags: r.Flags,
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefixOf(n *net.IPNet) netip.Prefix {
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), bits)
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

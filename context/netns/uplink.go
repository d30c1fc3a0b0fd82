package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/spec"
)

// uplinkSuffix is that of the records of uplinks, beside those of tenants.
const uplinkSuffix = ".uplink"

// UplinkConfig describes a device of the host's namespace that carries a
// failover link.
type UplinkConfig struct {
	Name    string // of the link
	Host    string // the host's device
	VLAN    int    // 802.1Q identifier of its subinterface; 0: the device itself
	Address netip.Prefix
	Records string // directory for the record of what was changed
}

// Uplink is such a device, with its address.
type Uplink struct {
	host   *Host
	saved  savedUplink
	record string
	index  int
}

// savedUplink is what has to be undone.
type savedUplink struct {
	Device  string       `json:"device"`
	Made    bool         `json:"made,omitempty"`   // the device is ours
	Raised  bool         `json:"raised,omitempty"` // it was down before
	Address netip.Prefix `json:"address,omitzero"` // it was not there before
}

// record is the path of the record of what has to be undone.
func (c *UplinkConfig) record() string {
	return filepath.Join(c.Records, hashedName("link", c.Name)+uplinkSuffix)
}

// uplinkDevice is the device that has the address.
func (h *Host) uplinkDevice(c UplinkConfig) string {
	if c.VLAN != 0 {
		return hashedName("wrf", h.system, c.Host, fmt.Sprint(c.VLAN))
	}
	return c.Host
}

// stays reports whether what an earlier process has opened is what c is about.
func (h *Host) stays(saved savedUplink, c UplinkConfig) bool {
	return saved.Device == h.uplinkDevice(c) && saved.Made == (c.VLAN != 0) &&
		(!saved.Address.IsValid() || saved.Address == c.Address)
}

// readUplink reads the record of an earlier process.
func readUplink(path string) (*savedUplink, error) {
	var saved savedUplink
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err != nil {
		return nil, fmt.Errorf("netns: reading record: %w", err)
	}
	return &saved, nil
}

// OpenUplink gives the device its address and sets it up.
func (h *Host) OpenUplink(c UplinkConfig) (*Uplink, error) {
	link, err := h.link(c.Host)
	if err != nil {
		return nil, err
	}
	u := &Uplink{host: h, record: c.record()}
	u.saved = savedUplink{Device: h.uplinkDevice(c), Made: c.VLAN != 0, Raised: link.Attrs().Flags&net.FlagUp == 0,
		Address: c.Address}
	if before, err := readUplink(u.record); err == nil && h.stays(*before, c) {
		u.saved = *before // of an earlier process
	} else if c.VLAN != 0 { // its addresses go with it
	} else if addrs, err := h.ns.handle.AddrList(link, netlink.FAMILY_ALL); err != nil {
		return nil, fmt.Errorf("netns: listing addresses of %s: %w", c.Host, err)
	} else {
		for _, a := range addrs {
			if prefixOf(a.IPNet) == c.Address {
				u.saved.Address = netip.Prefix{}
			}
		}
	}
	text, err := json.Marshal(u.saved)
	if err != nil {
		return nil, fmt.Errorf("netns: writing record: %w", err)
	}
	if err := os.WriteFile(u.record, text, 0o600); err != nil {
		return nil, fmt.Errorf("netns: writing record: %w", err)
	}
	if err := u.open(c, link); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

func (u *Uplink) open(c UplinkConfig, link netlink.Link) error {
	handle := u.host.ns.handle
	if u.saved.Made {
		if err := handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("netns: setting %s up: %w", c.Host, err)
		}
		if findLink(handle, u.saved.Device) == nil {
			attrs := netlink.NewLinkAttrs()
			attrs.Name, attrs.ParentIndex = u.saved.Device, link.Attrs().Index
			if err := addLink(handle, &netlink.Vlan{LinkAttrs: attrs, VlanId: c.VLAN},
				spec.Device{Host: c.Host, VLAN: c.VLAN}); err != nil {
				return err
			}
		}
		made, err := handle.LinkByName(u.saved.Device)
		if err != nil {
			return fmt.Errorf("netns: finding %s: %w", u.saved.Device, err)
		}
		link = made
	}
	u.index = link.Attrs().Index
	if err := addAddress(handle, linkFacts{name: u.saved.Device, index: u.index}, c.Address); err != nil {
		return err
	}
	if err := handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("netns: setting %s up: %w", u.saved.Device, err)
	}
	return nil
}

// Device is the kernel's name of the device.
func (u *Uplink) Device() string { return u.saved.Device }

// Carrier reports whether the device is up and has a carrier.
func (u *Uplink) Carrier() bool { return carrier(u.host.ns.handle, u.index) }

// Close leaves the device as it was.
func (u *Uplink) Close() error { return u.host.closeUplink(u.saved, u.record) }

// RecoverUplinks undoes what the records in a directory say of an earlier
// process. Those to be kept stay as they are, for OpenUplink: sessions of workers that
// serve on lead over them.
func (h *Host) RecoverUplinks(dir string, keep []UplinkConfig) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+uplinkSuffix))
	if err != nil {
		return fmt.Errorf("netns: listing records: %w", err)
	}
	var errs []error
	for _, path := range paths {
		saved, err := readUplink(path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case slices.ContainsFunc(keep, func(c UplinkConfig) bool { return c.record() == path && h.stays(*saved, c) }):
		default:
			errs = append(errs, h.closeUplink(*saved, path))
		}
	}
	return errors.Join(errs...)
}

func (h *Host) closeUplink(saved savedUplink, record string) error {
	var errs []error
	link := findLink(h.ns.handle, saved.Device)
	switch {
	case link == nil:
	case saved.Made:
		errs = append(errs, h.ns.handle.LinkDel(link))
	default:
		if saved.Address.IsValid() {
			err := h.ns.handle.AddrDel(link, &netlink.Addr{IPNet: ipNet(saved.Address)})
			if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				errs = append(errs, err)
			}
		}
		if saved.Raised {
			errs = append(errs, h.ns.handle.LinkSetDown(link))
		}
	}
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("netns: giving %s back: %w", saved.Device, err)
	}
	return nil
}

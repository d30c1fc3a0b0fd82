package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// setting is one file under /proc/sys/net.
type setting struct{ file, value string }

// settings make a router of a namespace. The kernel's source filter is off: what
// comes out of the tunnel is checked against its selectors, and the rules (rule.go)
// check what comes in clear, of both families. A new device begins with the defaults
// among them. Some settings take the kernel's lock of all networks; who waits for it to
// write to such a file does not sleep, but tries again and again.
var settings = []setting{
	{"ipv4/ip_forward", "1"},
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/conf/all/accept_redirects", "0"},
	{"ipv4/conf/default/accept_redirects", "0"},
	{"ipv4/conf/all/send_redirects", "0"},
	{"ipv4/conf/default/send_redirects", "0"},
	{"ipv4/conf/all/accept_source_route", "0"},
	{"ipv4/conf/all/promote_secondaries", "1"}, // an address that goes takes no other with it
	{"ipv6/conf/all/disable_ipv6", "0"},
	{"ipv6/conf/default/disable_ipv6", "0"},
	{"ipv6/conf/all/forwarding", "1"},
	{"ipv6/conf/all/accept_redirects", "0"},
	{"ipv6/conf/default/accept_redirects", "0"},
	{"ipv6/conf/all/accept_ra", "0"},
	{"ipv6/conf/default/accept_ra", "0"},
	{"ipv6/conf/default/accept_dad", "0"},
	quietDrop,
}

// Devices that get no link-local address: there is nobody to talk to.
var (
	quietDrop = setting{"ipv6/conf/" + dropName + "/addr_gen_mode", "1"}
	quietTUN  = setting{"ipv6/conf/" + tunName + "/addr_gen_mode", "1"}
)

// setDefaults makes the settings of a new namespace before there are devices. It runs
// inside.
func setDefaults() error {
	_, err := correctWhere(settings, func(setting) bool { return true })
	return err
}

// settingsOf are those of one device.
func settingsOf(name string) []setting {
	return []setting{
		{"ipv4/conf/" + name + "/rp_filter", "0"},
		{"ipv4/conf/" + name + "/accept_redirects", "0"},
		{"ipv4/conf/" + name + "/send_redirects", "0"},
		{"ipv4/conf/" + name + "/forwarding", "1"},
		{"ipv6/conf/" + name + "/disable_ipv6", "0"},
		{"ipv6/conf/" + name + "/forwarding", "1"},
		{"ipv6/conf/" + name + "/accept_redirects", "0"},
		{"ipv6/conf/" + name + "/accept_ra", "0"},
	}
}

// allSettings are those of the namespace, and of all devices in it.
func (g *Gateway) allSettings() []setting {
	list := append(slices.Clone(settings), tunSettings()...)
	for _, l := range g.links {
		list = append(list, g.linkSettings(l)...)
	}
	return list
}

// linkSettings are those of one interface. A gateway that is back answers at once:
// addresses are not probed for a second first, nor is the link-local one that it asks from.
// (The TUN device, which has no ARP, probes nothing.)
func (g *Gateway) linkSettings(l linkFacts) []setting {
	list := append(settingsOf(l.name), setting{"ipv6/conf/" + l.name + "/accept_dad", "0"})
	if g.paired { // SetRole makes its link-local addresses
		list = append(list, setting{"ipv6/conf/" + l.name + "/addr_gen_mode", "1"})
	}
	return list
}

// settleSettingsLocked makes the kernel's settings those that a gateway needs. Of
// devices that are away there are none.
func (g *Gateway) settleSettingsLocked() error {
	return g.ns.within(func() error {
		changed, err := correctWhere(g.allSettings(), func(setting) bool { return true })
		g.mended.Settings += changed
		return err
	})
}

func (s setting) path() string { return "/proc/sys/net/" + s.file }

// correct makes settings of the calling thread's namespace and returns how many had
// another value. What a kernel without IPv6 does not have needs no setting.
func correct(list []setting) (changed int, err error) {
	return correctWhere(list, func(s setting) bool { return strings.HasPrefix(s.file, "ipv6/") })
}

// correctWhere is correct where the kernel need not have the settings that may be
// missing.
func correctWhere(list []setting, mayMiss func(setting) bool) (changed int, err error) {
	var errs []error
	for _, s := range list {
		is, err := s.isSet()
		if is || errors.Is(err, fs.ErrNotExist) && mayMiss(s) {
			continue
		}
		if err == nil {
			err = s.set()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("netns: setting %s to %s: %w", s.file, s.value, err))
			continue
		}
		changed++
	}
	return changed, errors.Join(errs...)
}

// isSet reports whether a setting has its value. There are dozens of them for every
// tenant, so this is without os.File, which would look whether it can wait for them.
func (s setting) isSet() (bool, error) {
	fd, err := unix.Open(s.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var b [32]byte
	n, err := unix.Read(fd, b[:])
	return err == nil && string(bytes.TrimSpace(b[:n])) == s.value, err
}

// set writes the value of a setting that is there.
func (s setting) set() error {
	fd, err := unix.Open(s.path(), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(s.value))
	return errors.Join(err, unix.Close(fd))
}

//go:build e2e

package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/internal/lab"
)

// settings are strongSwan's: lines of swanctl.conf below "connections" with their
// path, as in "home.children.home.remote_ts = 10.1.0.0/16". One that begins with
// "secrets." stands at the top, and one that begins with "charon." in the daemon's
// section of strongswan.conf. Of two with one path the later counts.
type settings []string

// key is the pre-shared key of everybody, who has no other.
const key = "one key for all of strongswan.org"

// client are the settings of a road warrior: a connection and a child "home", an
// address of moon's for it, and moon's network. A change that is a path with "-" before it takes
// away what was there.
func client(name string, changes ...string) settings {
	return settings{
		"home.remote_addrs = 192.168.0.1",
		"home.vips = 0.0.0.0",
		"home.local.auth = psk",
		"home.local.id = " + name + "@strongswan.org",
		"home.remote.auth = psk",
		"home.remote.id = moon.strongswan.org",
		"home.children.home.remote_ts = 10.1.0.0/16",
	}.but(changes...)
}

// hostClient are those of a road warrior that has no address of moon's: its own one
// is protected.
func hostClient(name string, changes ...string) settings {
	return client(name, append([]string{"-home.vips"}, changes...)...)
}

// site are the settings of another site's gateway, sun: a connection "gw-gw" with a
// child "net-net".
func site(changes ...string) settings {
	return settings{
		"gw-gw.local_addrs = 192.168.0.2",
		"gw-gw.remote_addrs = 192.168.0.1",
		"gw-gw.local.auth = psk",
		"gw-gw.local.id = sun.strongswan.org",
		"gw-gw.remote.auth = psk",
		"gw-gw.remote.id = moon.strongswan.org",
		"gw-gw.children.net-net.local_ts = 10.2.0.0/16",
		"gw-gw.children.net-net.remote_ts = 10.1.0.0/16",
	}.but(changes...)
}

// path is that of a setting.
func path(setting string) string {
	p, _, _ := strings.Cut(setting, " = ")
	return p
}

// but are the settings with changes.
func (s settings) but(changes ...string) settings {
	out := slices.Clone(s)
	for _, c := range changes {
		p := strings.TrimPrefix(path(c), "-")
		out = slices.DeleteFunc(out, func(old string) bool { return path(old) == p })
		if !strings.HasPrefix(c, "-") {
			out = append(out, c)
		}
	}
	return out
}

// config is what the lab starts strongSwan with.
func (s settings) config(kernel bool) lab.StrongSwanConfig {
	c := lab.StrongSwanConfig{KernelESP: kernel}
	secrets := false
	for _, line := range s {
		if rest, ok := strings.CutPrefix(line, "charon."); ok {
			c.Settings += "  " + nested(rest) + "\n"
			continue
		}
		if strings.HasPrefix(line, "secrets.") {
			secrets = true
		} else {
			line = "connections." + line
		}
		c.Swanctl += nested(line) + "\n"
	}
	if !secrets {
		c.Swanctl += fmt.Sprintf("secrets { ike { secret = %q } }\n", key)
	}
	return c
}

// nested writes a setting with its path as sections.
func nested(setting string) string {
	p, value, _ := strings.Cut(setting, " = ")
	sections := strings.Split(p, ".")
	last := len(sections) - 1
	return strings.Join(sections[:last], " { ") + strings.Repeat(" {", min(last, 1)) + " " + sections[last] + " = " +
		value + strings.Repeat(" }", last)
}

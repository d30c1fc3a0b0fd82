//go:build e2e

package conformance

import (
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/internal/lab"
)

// otherSite is what moon has for a second site, sol, beside sun: each reaches the other
// one through moon.
var otherSite = group("sun") + group("sol") + cryptoMap(
	static("sun", "192.168.0.2", "respond", `"10.1.0.0/16", "10.4.0.0/16"`, `"10.2.0.0/16"`),
	static("sol", "192.168.0.4", "respond", `"10.1.0.0/16", "10.2.0.0/16"`, `"10.4.0.0/16"`))

// solSite are the settings of sol.
func solSite(changes ...string) settings {
	return site(append([]string{"gw-gw.local_addrs = 192.168.0.4", "gw-gw.local.id = sol.strongswan.org",
		"gw-gw.children.net-net.local_ts = 10.4.0.0/16"}, changes...)...)
}

// bothWays pings between the two sites.
var bothWays = []step{ping("bob", "alice"), ping("alice", "bob")}

// siteUp connects sun.
var siteUp = append([]step{up("sun", "net-net"), sas(1, 1)}, bothWays...)

// mixed has a site of one family outside and another one inside.
func mixed(peer, local, remote string) string {
	return group("sun") + cryptoMap(static("sun", peer, "respond", local, remote))
}

// toSites are scenarios between gateways.
var toSites = []scenario{
	{number: 23, moon: gateway(quickly, group("sun"), cryptoMap(static("sun", "192.168.0.2", "start", `"10.1.0.0/16"`,
		`"10.2.0.0/16"`))), steps: append([]step{
		peer("sun", site("charon.initiator_only = yes")), refusedByPeer("sun"),
	}, siteUp...)},
	{number: 25, moon: gateway(sun), steps: append([]step{peer("sun", site())}, siteUp...)},
	{number: 26, moon: gateway(sun), steps: []step{
		peer("sun", site(`secrets.ike.secret = "somebody else's key"`)), refused("sun", "net-net", "AUTH_FAILED"),
		sas(0, 0), unestablished("sun"),
	}},
	{number: 27, moon: gateway(group("sun"), cryptoMap(static("sun", "192.168.0.2", "start", `"10.1.0.0/16"`,
		`"10.2.0.0/16"`))), steps: append([]step{
		peer("sun", site()), logged("sun", "192.168.0.1 is initiating an IKE_SA"), sas(1, 1)}, bothWays...)},
	{number: 28, moon: gateway(sun), kernel: true, steps: []step{
		peer("sun", site("gw-gw.children.net-net.start_action = trap")), sas(0, 0), trapped("bob", "10.1.0.10"),
		logged("sun", "creating acquire job"), sas(1, 1), ping("bob", "alice"), ping("alice", "bob"),
	}},
	{number: 29, moon: gateway(group("sun"), cryptoMap(static("sun", "192.168.0.2", "respond",
		`"10.1.0.10/32", "10.1.0.20/32"`, `"10.2.0.0/16"`))), kernel: true,
		note: "one child SA is for both subnets", steps: []step{
			peer("sun", site("gw-gw.children.net-net.start_action = trap")), trapped("bob", "10.1.0.10"),
			logged("sun", "TS 10.2.0.0/16 === 10.1.0.10/32 10.1.0.20/32"), trapped("bob", "10.1.0.20"),
			ping("bob", "alice"), ping("bob", "venus"), sas(1, 1),
		}},
	{number: 31, moon: gateway(otherSite), steps: []step{
		peer("sun", site("gw-gw.children.net-net.remote_ts = 10.1.0.0/16,10.4.0.0/16")),
		peer("sol", solSite("gw-gw.children.net-net.remote_ts = 10.1.0.0/16,10.2.0.0/16")),
		up("sun", "net-net"), up("sol", "net-net"), sas(2, 1), ping("bob", "eve"), ping("eve", "bob"),
		ping("alice", "bob"), ping("alice", "eve"),
	}},
	{number: 32, moon: gateway(sun), steps: append(append([]step{peer("sun", site())}, siteUp...),
		underPing("bob", "alice", rekeyed("sun", "net-net"), sas(1, 1), rekeyedByMoon(), sas(1, 1)))},
	{number: 33, moon: gateway(sun, `ipsec_proposal "default" { esn = ["esn"] }`), kernel: true, steps: append([]step{
		peer("sun", site("gw-gw.children.net-net.esp_proposals = aes256gcm16-esn-noesn"))},
		append(siteUp, logged("sun", "selected proposal: ESP:AES_GCM_16_256/EXT_SEQ"))...)},
	{number: 47, moon: gateway(hostToHost), steps: hostsUp},
	{number: 52, moon: gateway(startAction(true, false)), steps: []step{
		peer("sun", site()), peer("sol", solSite()), sas(1, 1), ping("alice", "bob"),
		same("sun", reconfigured(gateway(startAction(true, true))), sas(2, 1), ping("alice", "bob"),
			ping("alice", "eve"), reconfigured(gateway(startAction(true, false))), sas(1, 1), ping("alice", "bob")),
	}},
	{number: 170, moon: gateway(mixed("fec0::2", `"10.1.0.0/16"`, `"10.2.0.0/16"`)), steps: append([]step{
		peer("sun", site("gw-gw.local_addrs = fec0::2", "gw-gw.remote_addrs = fec0::1"))},
		append(siteUp, from("sun", "fec0::2"))...)},
	{number: 177, moon: gateway(sun), steps: append([]step{peer("sun", site())},
		append(siteUp, carried("esp-in-udp"))...)},
	{number: 178, moon: gateway(sun), kernel: true, steps: append([]step{peer("sun", site())},
		append(siteUp, carried("esp"))...)},
	{number: 179, moon: gateway(mixed("192.168.0.2", `"fec1::/16"`, `"fec2::/16"`)), steps: []step{
		peer("sun", site("gw-gw.children.net-net.local_ts = fec2::/16",
			"gw-gw.children.net-net.remote_ts = fec1::/16")),
		up("sun", "net-net"), sas(1, 1), ping6("bob", "alice"), ping6("alice", "bob"), from("sun", "192.168.0.2"),
		carried("esp-in-udp"),
	}},
	{number: 180, moon: gateway(hostToHost), steps: append(hostsUp, carried("esp-in-udp"))},
}

// hostToHost has moon's own address protected, for sun's.
var hostToHost = mixed("192.168.0.2", `"192.168.0.1/32"`, `"192.168.0.2/32"`)

// hostsUp connects sun's address with moon's.
var hostsUp = []step{
	peer("sun", site("gw-gw.children.net-net.local_ts = dynamic", "-gw-gw.children.net-net.remote_ts")),
	up("sun", "net-net"),
	selectors("192.168.0.1/32 === 192.168.0.2/32"), outerPing("sun", "192.168.0.2", "192.168.0.1"),
}

// outerPing pings from a host at its address outside, through a tunnel: nothing of it
// is seen in clear.
func outerPing(name, source, target string) step {
	return func(w *world) error {
		for range 2 {
			if out, err := w.host(name).Run("ping", "-c", "3", "-i", "0.2", "-I", source, target); err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
		}
		clear := 0
		for _, p := range w.wire.Packets(nil) {
			if p.Protocol == "icmp" {
				clear++
			}
		}
		if clear > 0 {
			return fmt.Errorf("%d packets of the ping are in clear", clear)
		}
		w.see("ping %s to %s, nothing of it in clear", source, target)
		return nil
	}
}

// startAction has moon start tunnels to sites.
func startAction(toSun, toSol bool) string {
	var groups, entries string
	for _, s := range []struct {
		on                  bool
		name, peer, network string
	}{{toSun, "sun", "192.168.0.2", `"10.2.0.0/16"`}, {toSol, "sol", "192.168.0.4", `"10.4.0.0/16"`}} {
		if s.on {
			groups += group(s.name)
			entries += static(s.name, s.peer, "start", `"10.1.0.0/16"`, s.network)
		}
	}
	return groups + cryptoMap(entries)
}

// refusedByPeer waits until a request of moon's has reached a peer, which does not
// answer.
func refusedByPeer(name string) step {
	return func(w *world) error {
		err := eventually("a request of moon", func() error {
			if len(w.wire.Packets(func(p lab.Packet) bool { return p.Opens() })) == 0 {
				return fmt.Errorf("there is none")
			}
			return nil
		})
		if err != nil {
			return err
		}
		if w.host(name).swan.Established() {
			return fmt.Errorf("%s has answered", name)
		}
		w.see("%s does not answer moon", name)
		return nil
	}
}

// unestablished says that strongSwan has no SA.
func unestablished(name string) step {
	return func(w *world) error {
		if list := w.host(name).swan.ListSAs(); strings.Contains(list, "state=ESTABLISHED") {
			return fmt.Errorf("%s has an SA: %s", name, list)
		}
		return nil
	}
}

// firstChild is the inbound SPI of moon's first child SA.
func firstChild(w *world) string {
	for _, s := range w.moon.IKESAs(tenant) {
		for _, c := range s.ChildSAs {
			return c.SPIIn
		}
	}
	return ""
}

// rekeyed has strongSwan rekey a child.
func rekeyed(name, child string) step {
	return anotherChild(name, func(w *world) error {
		out, err := w.host(name).swan.Swanctl("--rekey", "--child", child)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
}

// rekeyedByMoon has moon do it.
func rekeyedByMoon() step {
	return anotherChild("moon", func(w *world) error {
		_, _, err := w.moon.CLI("rekey", "--peer", "192.168.0.2", tenant)
		return err
	})
}

// anotherChild waits until a child SA is in the place of the first one.
func anotherChild(who string, do step) step {
	return func(w *world) error {
		before := firstChild(w)
		if err := do(w); err != nil {
			return err
		}
		err := eventually("another child SA", func() error {
			if now := firstChild(w); now == before || now == "" {
				return fmt.Errorf("it is %s, and was %s", now, before)
			}
			return nil
		})
		if err == nil {
			w.see("%s rekeys the child SA", who)
		}
		return err
	}
}

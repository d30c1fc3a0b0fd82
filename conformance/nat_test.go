//go:build e2e

package conformance

import (
	"fmt"
	"strings"
)

// behindNAT puts hosts behind the router, which hides their addresses; behindRouter
// puts them behind one that does not.
func behindNAT(names ...string) step {
	return func(w *world) error { w.route(true, names...); return nil }
}

func behindRouter(names ...string) step {
	return func(w *world) error { w.route(false, names...); return nil }
}

// twoPaths gives a host that is outside another way, behind the router: a device "wlan",
// whose routes count when its first device is gone.
func twoPaths(name string, translate bool) step {
	return func(w *world) error {
		w.route(translate)
		h := w.host(name)
		w.home.Connect(name, h.Namespace, "wlan")
		h.Address("wlan", athome(name)+"/24")
		h.MustRun("ip", "route", "add", "default", "via", "10.5.0.254", "dev", "wlan", "metric", "100")
		return nil
	}
}

// unplugged takes a host's first device down, and its address away.
func unplugged(name string) step {
	return func(w *world) error {
		w.host(name).MustRun("ip", "address", "flush", "dev", "out")
		w.host(name).Down("out")
		w.see("%s has only its other device", name)
		return nil
	}
}

// rebound has the router forget who is behind it.
func rebound() step {
	return func(w *world) error { w.router.Rebind(); return nil }
}

// behindBoth are carol and dave behind the router, connected.
func behindBoth(router step, changes ...string) []step {
	return []step{router, peer("carol", hostClient("carol", changes...)),
		peer("dave", hostClient("dave", changes...)), up("carol", "home"), up("dave", "home"), sas(2, 1),
		ping("carol", "alice"), ping("dave", "alice"), ping("alice", "carol"), ping("alice", "dave"),
		carried("esp-in-udp")}
}

// pass is a child of a client behind the router that leaves its own network alone. A
// guest's kernel has no NAT for nft, so that the router only routes.
var pass = []string{"home.encap = yes", "home.children.home.remote_ts = 0.0.0.0/0", "local.children.local.mode = pass",
	"local.children.local.local_ts = 10.5.0.0/24", "local.children.local.remote_ts = 10.5.0.0/24",
	"local.children.local.start_action = trap"}

// throughNAT are scenarios with address translation, and with peers that move.
var throughNAT = []scenario{
	{number: 56, moon: gateway(hosts(`"10.5.0.0/24"`)), kernel: true, note: "the router does not translate",
		steps: append(behindBoth(behindRouter("carol", "dave"), pass...), direct("carol", "dave"),
			direct("dave", "carol"))},
	{number: 67, moon: gateway(hosts(`"10.5.0.0/24"`)), steps: behindBoth(behindNAT("carol", "dave"))},
	{number: 68, moon: gateway(ownKeys(hosts(`"10.5.0.0/24"`), "carol@strongswan.org", "dave@strongswan.org")),
		steps: []step{behindNAT("carol", "dave"),
			peer("carol", hostClient("carol", keys("carol", "carol@strongswan.org")...)),
			peer("dave", hostClient("dave", keys("dave", "dave@strongswan.org")...)),
			up("carol", "home"), up("dave", "home"), sas(2, 1), ping("carol", "alice"), ping("dave", "alice"),
			ping("alice", "carol"), ping("alice", "dave"), carried("esp-in-udp"),
		}},
	{number: 71, moon: gateway(roadWarriors), steps: []step{
		peer("sun", client("sun")), up("sun", "home"), sas(1, 1), given("sun", "10.3.0.1"), masqueraded("sun"),
		plainPing("bob", "10.1.0.10"),
	}},
	{number: 72, hidden: true, moon: hiddenGateway(hosts(`"10.5.0.0/24"`)), steps: []step{
		behindNAT("carol"), peer("carol", hostClient("carol", "home.children.home.remote_ts = 10.6.0.1/32")),
		up("carol", "home"), selectors("10.6.0.1/32 === 10.5.0.100/32"), plainPing("carol", "10.6.0.1"),
		carried("esp-in-udp"),
	}},
	{number: 73, hidden: true, moon: hiddenGateway(hosts(`"10.5.0.0/24"`)), steps: []step{
		behindNAT("carol"), peer("carol", hostClient("carol")), up("carol", "home"), sas(1, 1),
		ping("carol", "alice"), ping("alice", "carol"), carried("esp-in-udp"),
	}},
	{number: 74, moon: gateway(roadWarriors), kernel: true, steps: []step{
		peer("carol", client("carol", "home.encap = yes")), up("carol", "home"), sas(1, 1), ping("carol", "alice"),
		ping("alice", "carol"), carried("esp-in-udp"),
	}},
	{number: 75, moon: gateway(hosts(`"192.168.0.0/24", "10.5.0.0/24"`)), steps: []step{
		twoPaths("carol", false), peer("carol", hostClient("carol")), up("carol", "home"), sas(1, 1),
		ping("carol", "alice"), unplugged("carol"), from("carol", "10.5.0.100"), sas(1, 1),
		plainPing("carol", "10.1.0.10"), logged("carol", "UPD_SA_ADDR"),
		selectors("10.1.0.0/16 === 10.5.0.100/32"),
	}},
	{number: 76, moon: gateway(roadWarriors), steps: []step{
		behindNAT("carol"), peer("carol", client("carol", "home.dpd_delay = 5s")), up("carol", "home"), sas(1, 1),
		ping("carol", "alice"), same("carol", port("carol", "20"),
			// What IKE_SA_INIT had of ports tells nothing: the port is another one since.
			logged("carol", `parsed INFORMATIONAL response \d+ (\[ N\(NATD_S_IP\) N\(NATD_D_IP\) \])`), rebound(),
			logged("carol", "detected changes in NAT mappings, initiating MOBIKE update"), port("carol", "21"),
			ping("carol", "alice"), ping("alice", "carol")),
	}},
	{number: 77, moon: gateway(roadWarriors), steps: []step{
		twoPaths("carol", false), peer("carol", client("carol")), up("carol", "home"), sas(1, 1),
		ping("carol", "alice"), sameIKE("carol", unplugged("carol"), from("carol", "10.5.0.100"),
			ping("carol", "alice"), ping("alice", "carol")), given("carol", "10.3.0.1"), logged("carol", "UPD_SA_ADDR"),
	}},
	{number: 78, moon: gateway(roadWarriors), steps: []step{
		twoPaths("carol", true), peer("carol", client("carol")), up("carol", "home"), sas(1, 1),
		ping("carol", "alice"), sameIKE("carol", unplugged("carol"), from("carol", "192.168.0.254"),
			ping("carol", "alice"), ping("alice", "carol")), given("carol", "10.3.0.1"), logged("carol", "UPD_SA_ADDR"),
	}},
}

// masqueraded has a gateway send what is behind it from the address that it was given.
func masqueraded(name string) step {
	return func(w *world) error {
		h := w.host(name)
		vip, err := w.inner(name, false)
		if err != nil {
			return err
		}
		h.MustRun("nft", "-f", w.WriteFile(fmt.Sprintf(`table ip vip {
  chain outwards {
    type nat hook postrouting priority srcnat
    ip saddr 10.2.0.0/16 ip daddr 10.1.0.0/16 snat to %s
  }
}
`, vip), "nft", "vip"))
		w.see("%s hides bob behind %s", name, vip)
		return nil
	}
}

// plainPing pings an address from whatever address the kernel takes.
func plainPing(name, to string) step {
	return func(w *world) error {
		if err := trapped(name, to)(w); err != nil { // the way has to be learned
			return err
		}
		if out, err := w.host(name).Run("ping", "-c", "3", "-i", "0.2", to); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		w.see("ping %s to %s", name, to)
		return nil
	}
}

// direct pings from one host to another one that is beside it, without a tunnel.
func direct(name, to string) step {
	return func(w *world) error {
		before := len(w.moon.IKESAs(tenant))
		if err := plainPing(name, bare(w.host(to).v4))(w); err != nil {
			return err
		}
		if after := len(w.moon.IKESAs(tenant)); after != before {
			return fmt.Errorf("moon has %d IKE SAs, and had %d", after, before)
		}
		return nil
	}
}

// port waits until moon has a peer at a port that begins so.
func port(id, prefix string) step {
	return func(w *world) error {
		return eventually("port of "+id, func() error {
			for _, s := range w.moon.IKESAs(tenant) {
				_, p, _ := strings.Cut(s.Remote, ":")
				if strings.HasPrefix(s.RemoteID, id) && strings.HasPrefix(p, prefix) {
					return nil
				}
			}
			return fmt.Errorf("it has none that begins with %s", prefix)
		})
	}
}

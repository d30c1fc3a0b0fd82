//go:build e2e

package conformance

import (
	"fmt"
	"strings"
)

// keys are those of a road warrior who has one of its own, and of moon.
func keys(name, id string) []string {
	return []string{
		fmt.Sprintf("home.local.id = %s", id),
		fmt.Sprintf("secrets.ike-own.id-1 = %s", id),
		"secrets.ike-own.id-2 = moon.strongswan.org",
		fmt.Sprintf("secrets.ike-own.secret = %q", "the very own key of "+name),
		"secrets.ike-moon.id = moon.strongswan.org",
		fmt.Sprintf("secrets.ike-moon.secret = %q", key),
	}
}

// ownKeys replaces the key of everybody by one for each identity.
func ownKeys(hcl, carol, dave string) string {
	return strings.Replace(hcl, fmt.Sprintf("remote_authentication = { pre_shared_key = %q }", key),
		fmt.Sprintf("remote_authentication = { pre_shared_keys = { %q = \"the very own key of carol\", "+
			"%q = \"the very own key of dave\" } }", carol, dave), 1)
}

// bothUp connects carol and dave, whose addresses are their own or moon's, and pings
// from and to them.
var bothUp = []step{up("carol", "home"), up("dave", "home"), sas(2, 1), ping("carol", "alice"), ping("dave", "alice"),
	ping("alice", "carol"), ping("alice", "dave")}

// connecting are scenarios about who is let in, and what a client gets.
var connecting = []scenario{
	{number: 2, moon: gateway(ownKeys(strings.Replace(hosts(`"192.168.0.0/24"`), "*@strongswan.org", "*", 1),
		"192.168.0.100", "192.168.0.200")),
		steps: append([]step{
			peer("carol", hostClient("carol", keys("carol", "192.168.0.100")...)),
			peer("dave", hostClient("dave", keys("dave", "192.168.0.200")...)),
		}, bothUp...)},
	{number: 3, moon: gateway(ownKeys(hosts(`"192.168.0.0/24"`), "carol@strongswan.org", "dave@strongswan.org")),
		steps: append([]step{
			peer("carol", hostClient("carol", keys("carol", "carol@strongswan.org")...)),
			peer("dave", hostClient("dave", keys("dave", "dave@strongswan.org")...)),
		}, bothUp...)},
	{number: 4, moon: gateway(hosts(`"192.168.0.0/24"`)), steps: append([]step{
		peer("carol", hostClient("carol", "-home.remote.id")), peer("dave", hostClient("dave", "-home.remote.id")),
	}, bothUp...)},
	{number: 54, moon: gateway(oneLogin, quickly), note: "moon has simultaneous_logins = 1", steps: []step{
		peer("carol", client("carol")), up("carol", "home"), ping("carol", "alice"), killed("carol"),
		peer("winnetou", client("carol")), up("winnetou", "home"), sas(1, 1), from("carol", "192.168.0.150"),
		ping("winnetou", "alice"), ping("alice", "winnetou"),
	}},
	{number: 55, moon: gateway(roadWarriors), kernel: true, steps: []step{
		peer("carol", client("carol", "home.children.home.inactivity = 10s")), up("carol", "home"),
		ping("carol", "alice"), sas(1, 1), logged("carol", "deleting CHILD_SA after 10 seconds of inactivity"),
		sas(1, 0),
	}},
	{number: 84, moon: gateway(manyNetworks), note: onlyIKEv2, steps: []step{
		peer("carol", client("carol", "charon.fragment_size = 576", manyAsked)),
		peer("dave", client("dave", "charon.fragment_size = 576", manyAsked)),
		up("carol", "home"), up("dave", "home"), sas(2, 1),
		logged("carol", "splitting IKE message"),
		logged("carol", "reassembled fragmented IKE message"),
		ping("carol", "alice"), ping("dave", "alice"),
	}},
	{number: 85, moon: gateway(manyNetworks), note: onlyIKEv2, steps: []step{
		peer("carol", client("carol", "home.remote_addrs = fec0::1", "charon.fragment_size = 576", manyAsked)),
		peer("dave", client("dave", "home.remote_addrs = fec0::1", "charon.fragment_size = 576", manyAsked)),
		up("carol", "home"), up("dave", "home"), sas(2, 1), from("carol", "fec0::10"),
		logged("carol", "splitting IKE message"),
		logged("carol", "reassembled fragmented IKE message"),
		ping("carol", "alice"), ping("dave", "alice"),
	}},
	{number: 88, moon: gateway(pool("carol", "10.3.0.1-10.3.0.1"), pool("dave", "10.3.0.2-10.3.0.2"),
		clients("carol", "carol@strongswan.org", `"carol"`), clients("dave", "dave@strongswan.org", `"dave"`), dynamic),
		steps: append([]step{peer("dave", client("dave")), peer("carol", client("carol")), up("dave", "home"),
			given("dave", "10.3.0.2"), up("carol", "home"), given("carol", "10.3.0.1"), terminated("dave", "home"),
		}, append(bothUp[1:], given("dave", "10.3.0.2"))...)},
	{number: 89, moon: gateway(roadWarriors), steps: append(append([]step{
		peer("carol", client("carol")), peer("dave", client("dave"))}, bothUp...),
		given("carol", "10.3.0.1"), given("dave", "10.3.0.2"))},
	{number: 95, moon: gateway(pool("rw", "10.3.0.1-10.3.0.14"), pool("rw6", "fec3::1-fec3::fe"),
		clients("DefaultRAGroup", "*", `"rw", "rw6"`), dynamic),
		steps: []step{
			peer("carol", client("carol", "home.vips = 0.0.0.0,::",
				"home.children.home.remote_ts = 10.1.0.0/16,fec1::/16")),
			peer("dave", client("dave", "home.vips = 0.0.0.0,::",
				"home.children.home.remote_ts = 10.1.0.0/16,fec1::/16")),
			up("carol", "home"), up("dave", "home"), sas(2, 1), given("carol", "10.3.0.1", "fec3::1"),
			given("dave", "10.3.0.2", "fec3::2"), ping("carol", "alice"), ping6("carol", "alice"),
			ping("dave", "alice"), ping6("dave", "alice"), ping("alice", "dave"), ping6("alice", "dave"),
		}},
	{number: 100, moon: gateway(pool("rw", "10.1.1.1-10.1.1.14"), clients("DefaultRAGroup", "*", `"rw"`), dynamic),
		steps: append(append([]step{peer("carol", client("carol")), peer("dave", client("dave"))}, bothUp...),
			given("carol", "10.1.1.1"), given("dave", "10.1.1.2"))},
	{number: 102, moon: gateway(roadWarriors), steps: []step{
		peer("carol", client("carol")), peer("dave", client("dave")), up("carol", "home"), up("dave", "home"),
		holds("10.3.0.1", "carol@strongswan.org"), holds("10.3.0.2", "dave@strongswan.org"),
		terminated("carol", "home"), sas(1, 1), holds("10.3.0.1", ""), holds("10.3.0.2", "dave@strongswan.org"),
	}},
	{number: 127, moon: gateway(hosts(`"192.168.0.0/24"`)), steps: []step{
		peer("carol", hostClient("carol", renewing...)), up("carol", "home"), sas(1, 1),
		underPing("carol", "alice", renewed("carol"), sas(1, 1), madeBeforeBroken),
	}},
	{number: 128, moon: gateway(roadWarriors), steps: []step{
		peer("carol", client("carol", renewing...)), up("carol", "home"), sas(1, 1), given("carol", "10.3.0.1"),
		underPing("carol", "alice", renewed("carol"), sas(1, 1), madeBeforeBroken, given("carol", "10.3.0.1")),
	}},
	{number: 167, moon: gateway(hosts(`"fec0::/16"`)), steps: []step{
		peer("carol", hostClient("carol", "home.remote_addrs = fec0::1", "home.children.home.remote_ts = fec1::/16")),
		peer("dave", hostClient("dave", "home.remote_addrs = fec0::1", "home.children.home.remote_ts = fec1::/16")),
		up("carol", "home"), up("dave", "home"), sas(2, 1), ping6("carol", "alice"), ping6("dave", "alice"),
		ping6("alice", "carol"), ping6("alice", "dave"),
	}},
	{number: 169, moon: gateway(pool("rw6", "fec3::1-fec3::fe"), clients("DefaultRAGroup", "*", `"rw6"`), dynamic),
		steps: []step{
			peer("carol", client("carol", "home.vips = ::", "home.children.home.remote_ts = fec1::/16")),
			peer("dave", client("dave", "home.vips = ::", "home.children.home.remote_ts = fec1::/16")),
			up("carol", "home"), up("dave", "home"), sas(2, 1), given("carol", "fec3::1"), given("dave", "fec3::2"),
			ping6("carol", "alice"), ping6("dave", "alice"), ping6("alice", "carol"), ping6("alice", "dave"),
		}},
}

// oneLogin has moon let an identity in once: the session before gives way. Otherwise
// what comes from elsewhere may be another device of the same person.
var oneLogin = pool("rw", "10.3.0.1-10.3.0.14") + "group_policy \"one\" { simultaneous_logins = 1 }\n" +
	clients("DefaultRAGroup", "*", `"rw"`, `  default_group_policy = "one"`) + dynamic

// onlyIKEv2 is said of a scenario whose other half is IKEv1.
const onlyIKEv2 = "the half with IKEv1: issue 17"

// manyNetworks has moon's answers be as long as the requests of clients that ask for
// manyAsked: it names 60 networks, and takes messages of more than 576 bytes apart.
var manyNetworks = pool("rw", "10.3.0.1-10.3.0.14") + `
group_policy "many" {
  split_tunnel = ["` + strings.Join(networks(60), `", "`) + `"]
}
ikev2 { fragment_size = 576 }
` + clients("DefaultRAGroup", "*", `"rw"`, `  default_group_policy = "many"`) + dynamic

var manyAsked = "home.children.home.remote_ts = " + strings.Join(networks(60), ",")

// networks are n networks, of which moon has the first.
func networks(n int) []string {
	list := []string{"10.1.0.0/16"}
	for i := 1; i < n; i++ {
		list = append(list, fmt.Sprintf("10.100.%d.0/24", 2*i))
	}
	return list
}

// renewing has a client log in again, before it logs out.
var renewing = []string{"charon.make_before_break = yes", "home.reauth_time = 10s", "home.rekey_time = 0",
	"home.over_time = 20s"}

// madeBeforeBroken says that the second IKE SA was there before the first was ended.
var madeBeforeBroken = inOrder("carol", "CHILD_SA home{2} established", "sending DELETE for IKE_SA home[1]")

// renewed waits until a client has another IKE SA in place of the one that it has.
func renewed(name string) step {
	return func(w *world) error {
		spi := func() string {
			_, rest, _ := strings.Cut(w.host(name).swan.ListSAs(), "initiator-spi=")
			return rest[:min(16, len(rest))]
		}
		before := spi()
		err := eventually("another IKE SA of "+name, func() error {
			if now := spi(); now == before || now == "" || !w.host(name).swan.Established() ||
				strings.Count(w.host(name).swan.ListSAs(), "initiator-spi=") != 1 {
				return fmt.Errorf("it has %q, and had %q", now, before)
			}
			return nil
		})
		if err == nil {
			w.see("another IKE SA takes the place of the first")
		}
		return err
	}
}

// from waits until moon has a peer at an address, and everything of it there.
func from(id, address string) step {
	return func(w *world) error {
		err := eventually(id+" at "+address, func() error {
			for _, s := range w.moon.IKESAs(tenant) {
				if !strings.HasPrefix(s.RemoteID, id) {
					continue
				}
				if strings.Contains(s.Remote, address) && len(s.ChildSAs) > 0 &&
					strings.Contains(s.ChildSAs[0].Remote, address) {
					return nil
				}
				return fmt.Errorf("its IKE SA is with %s", s.Remote)
			}
			return fmt.Errorf("it has none")
		})
		if err == nil {
			w.see("%s is at %s", id, address)
		}
		return err
	}
}

// holds asks moon who has an address; "": nobody.
func holds(address, id string) step {
	return func(w *world) error {
		holder := ""
		for _, s := range w.moon.IKESAs(tenant) {
			for _, a := range s.Assigned {
				if bare(a) == address {
					holder = s.RemoteID
				}
			}
		}
		if holder != id {
			return fmt.Errorf("moon says that %s is of %q, not of %q", address, holder, id)
		}
		if id == "" {
			id = "nobody"
		}
		w.see("%s is of %s", address, id)
		return nil
	}
}

// silence keeps moon and a host from hearing each other while some steps are done.
func silence(name string, steps ...step) step {
	return func(w *world) error {
		w.outside.Part("moon", name)
		for _, s := range steps {
			if err := s(w); err != nil {
				return err
			}
		}
		w.outside.Join("moon", name)
		return nil
	}
}

// quickly has moon notice in seconds that a peer is dead.
const quickly = `
ikev2 {
  retransmit {
    base  = "200ms"
    tries = 3
  }
}
`

// dying are scenarios about peers that are not there any more.
var dying = []scenario{
	{number: 79, moon: gateway(strings.Replace(roadWarriors, `"remote-access"`, "\"remote-access\"\n  dpd = \"10s\"", 1),
		quickly),
		steps: []step{peer("carol", client("carol")), up("carol", "home"), ping("carol", "alice"), sas(1, 1),
			silence("carol", sas(0, 0))}},
	{number: 80, moon: gateway(roadWarriors), steps: []step{
		peer("carol", client("carol", "home.dpd_delay = 5s", "home.children.home.dpd_action = restart")),
		up("carol", "home"), ping("carol", "alice"), sas(1, 1),
		silence("carol", logged("carol", "giving up after . retransmits"), logged("carol", "restarting CHILD_SA home")),
		eventuallySA("carol"), sas(1, 1), ping("carol", "alice"),
	}},
	{number: 81, kernel: true, moon: gateway(roadWarriors), steps: []step{
		peer("carol", client("carol", "home.dpd_delay = 5s", "home.children.home.dpd_action = trap")),
		up("carol", "home"), ping("carol", "alice"), sas(1, 1),
		silence("carol", logged("carol", "giving up after . retransmits")),
		trapped("carol", "10.1.0.10"), sas(1, 1), ping("carol", "alice"),
	}},
}

// eventuallySA waits until strongSwan has an IKE SA again.
func eventuallySA(name string) step {
	return func(w *world) error {
		return eventually("an SA of "+name, func() error {
			if !w.host(name).swan.Established() {
				return fmt.Errorf("it has none")
			}
			return nil
		})
	}
}

// trapped sends packets from a host without asking for answers, until moon has an SA:
// what was sent has met a trap.
func trapped(name, to string) step {
	return func(w *world) error {
		h := w.host(name)
		return eventually("the trap of "+name, func() error {
			if _, err := h.Run("ping", "-c", "1", "-W", "1", to); err != nil {
				return err
			}
			return nil
		})
	}
}

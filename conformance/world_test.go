//go:build e2e

package conformance

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// scenario is one of the catalogue that is played: the configuration of moon, and
// what happens. A scenario with a network of another kind has play in their place.
type scenario struct {
	number int
	moon   string // the file of Warren's context
	steps  []step
	play   func(*world) error
	kernel bool // strongSwan needs ESP of its kernel: it is played in a guest
	hidden bool // moon is behind a router with address translation, too
	// revoked names whose papers the root has revoked; "": nobody's.
	revoked string
	note    string // what is not quite as in the suite, for the table
}

// A step is one thing that is done, or waited for. Its error says what was not so.
type step func(*world) error

// world is the network of a scenario, as far as that has used it:
//
//	                 winnetou .150
//	carol .100 ---+
//	dave  .200 ---+--- 192.168.0.0/24 ---+--- .1 [ moon ] 10.1.0.1 ---+--- alice 10.1.0.10
//	sun   .2   ---+    fec0::/16         |                            +--- venus 10.1.0.20
//	 |                                   |
//	 +--- bob 10.2.0.10                  +--- .254 [ router ] 10.5.0.254 --- 10.5.0.0/24
//
// The addresses are those of strongSwan's suite, where everybody has one of IPv6 as
// well.
type world struct {
	*lab.Lab
	scenario
	backend         string // more of moon's file
	moon            *lab.Warrend
	outside, inside *lab.Segment
	home            *lab.Segment // behind the router
	router          *lab.NAT     // nil: it only routes
	wire            *lab.Capture // moon's outside port
	hosts           map[string]*host
	seen            []string
}

// protected must not be seen in clear on moon's outside wire: networks of sites, and
// addresses that moon gives.
var protected = []string{"10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16", "fec1::/16", "fec2::/16",
	"fec3::/16"}

// tenant is the name of moon's context.
const tenant = "moon"

// run plays the scenario with a back end, and tells what was seen.
func (s scenario) run(t *testing.T, backend string) (seen string, err error) {
	w := &world{scenario: s, backend: backend, hosts: map[string]*host{}}
	err = lab.Run(t.Logf, func(l *lab.Lab) error {
		w.Lab = l
		if err := w.enact(); err != nil {
			for name, h := range w.hosts {
				if h.swan != nil {
					t.Logf("strongSwan of %s:\n%s", name, h.swan.Log())
				}
			}
			return err
		}
		return nil
	})
	if s.note != "" {
		w.see("%s", s.note)
	}
	return strings.Join(w.seen, "; "), err
}

func (w *world) enact() error {
	if w.play != nil {
		return w.play(w)
	}
	w.build()
	for _, s := range w.steps {
		if err := s(w); err != nil {
			return err
		}
	}
	return nil
}

// build lays out moon and both of its Ethernets.
func (w *world) build() {
	gateway := w.Namespace("moon")
	w.outside, w.inside = w.Segment("outside"), w.Segment("inside")
	w.inside.Connect("moon", gateway, "moon-in")
	if w.hidden {
		w.hide(gateway)
	} else {
		w.outside.Connect("moon", gateway, "moon-out")
	}
	w.outside.Tripwire("moon", protected...)
	w.wire = w.outside.CaptureHeaders("moon")
	files := map[string]string{"moon.hcl": w.scenario.moon + w.backend}
	maps.Copy(files, w.papers())
	w.moon = gateway.Warrend(lab.WarrendConfig{Name: "gw", System: lab.OneContext(tenant, "moon-out", "moon-in"),
		Files: files})
	w.moon.Ready()
	w.host("alice")
	w.host("venus")
}

// hide puts a router before moon, which has moon's address outside and sends it what
// comes for IKE and ESP.
func (w *world) hide(gateway *lab.Namespace) {
	r := w.Namespace("gate")
	w.Veth(r, "in", gateway, "moon-out")
	r.Address("in", "10.6.0.254/24")
	w.outside.Connect("moon", r, "out")
	r.Address("out", "192.168.0.1/24")
	r.NAT("out", "192.168.0.1")
	r.MustRun("nft", "-f", w.WriteFile(`table ip gate {
  chain inwards {
    type nat hook prerouting priority dstnat
    iifname "out" udp dport { 500, 4500 } dnat to 10.6.0.1
  }
}
`, "nft", "gate"))
	r.Route("0.0.0.0/0", "192.168.0.254")
}

// see notes what was seen, for the table.
func (w *world) see(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(w.seen) == 0 || w.seen[len(w.seen)-1] != text {
		w.seen = append(w.seen, text)
	}
}

// host is somebody in the network.
type host struct {
	*lab.Namespace
	place
	swan *lab.StrongSwan
}

// place is where a host is.
type place struct {
	v4, v6 string // addresses, with the lengths of their subnets
	inside bool   // behind moon
	site   string // the gateway of another site: "2" is of 10.2.0.0/16 and fec2::/16
	behind string // another site's gateway
}

// places are the hosts that there may be.
var places = map[string]place{
	"alice":    {v4: "10.1.0.10/16", v6: "fec1::10/16", inside: true},
	"venus":    {v4: "10.1.0.20/16", v6: "fec1::20/16", inside: true},
	"carol":    {v4: "192.168.0.100/24", v6: "fec0::10/16"},
	"dave":     {v4: "192.168.0.200/24", v6: "fec0::20/16"},
	"winnetou": {v4: "192.168.0.150/24", v6: "fec0::15/16"},
	"sun":      {v4: "192.168.0.2/24", v6: "fec0::2/16", site: "2"},
	"sol":      {v4: "192.168.0.4/24", v6: "fec0::4/16", site: "4"},
	"bob":      {v4: "10.2.0.10/16", v6: "fec2::10/16", behind: "sun"},
	"eve":      {v4: "10.4.0.10/16", v6: "fec4::10/16", behind: "sol"},
}

// host returns somebody, whom it puts into the network where that has not been.
func (w *world) host(name string) *host {
	if h := w.hosts[name]; h != nil {
		return h
	}
	p, ok := places[name]
	if !ok {
		panic("conformance: internal error: there is no host " + name)
	}
	if p.behind != "" {
		w.host(p.behind)
		return w.hosts[name]
	}
	h := &host{Namespace: w.Namespace(name), place: p}
	w.hosts[name] = h
	if p.inside {
		w.inside.Connect(name, h.Namespace, "out")
		h.settle("10.1.0.1", "fec1::1")
		return h
	}
	w.outside.Connect(name, h.Namespace, "out")
	h.settle("192.168.0.254", "fec0::254")
	if p.site != "" {
		w.extend(name, h)
	}
	return h
}

// extend puts those behind another site's gateway into the network.
func (w *world) extend(name string, gateway *host) {
	gateway.Forward()
	for other, p := range places {
		if p.behind == name {
			h := &host{Namespace: w.Namespace(other), place: p}
			w.hosts[other] = h
			w.Veth(gateway.Namespace, "in", h.Namespace, "out")
			gateway.Address("in", "10."+gateway.site+".0.1/16", "fec"+gateway.site+"::1/16")
			h.settle("10."+gateway.site+".0.1", "fec"+gateway.site+"::1")
		}
	}
}

// settle gives a host its addresses, and the gateways of everything else.
func (h *host) settle(gateway4, gateway6 string) {
	h.Address("out", h.v4, h.v6)
	h.Route("0.0.0.0/0", gateway4)
	h.Route("::/0", gateway6)
}

// route lays out the router, and moves hosts behind it that have not been anywhere:
// their addresses end as they would elsewhere.
func (w *world) route(translate bool, names ...string) {
	r := w.Namespace("router")
	w.home = w.Segment("home")
	w.home.Connect("router", r, "in")
	r.Address("in", "10.5.0.254/24")
	w.outside.Connect("router", r, "out")
	r.Address("out", "192.168.0.254/24")
	if translate {
		w.router = r.NAT("out", "192.168.0.254")
	} else {
		r.Forward()
	}
	for _, name := range names {
		h := &host{Namespace: w.Namespace(name), place: place{v4: athome(name) + "/24"}}
		w.hosts[name] = h
		w.home.Connect(name, h.Namespace, "out")
		h.Address("out", h.v4)
		h.Route("0.0.0.0/0", "10.5.0.254")
	}
}

// athome is the address of a host behind the router.
func athome(name string) string {
	return strings.Replace(bare(places[name].v4), "192.168.0.", "10.5.0.", 1)
}

// bare is an address without the length of its subnet.
func bare(prefix string) string { a, _, _ := strings.Cut(prefix, "/"); return a }

// inner is the address of a host within tunnels, of one family: what moon gave it,
// or its own.
func (w *world) inner(name string, v6 bool) (string, error) {
	if name == "moon" {
		return map[bool]string{false: "192.168.0.1", true: "fec0::1"}[v6], nil
	}
	h := w.host(name)
	own := bare(h.v4)
	if v6 {
		own = bare(h.v6)
	}
	if h.swan == nil || h.site != "" && len(h.swan.VIPs()) == 0 {
		if h.site != "" {
			own = map[bool]string{false: "10." + h.site + ".0.1", true: "fec" + h.site + "::1"}[v6]
		}
		return own, nil
	}
	vips := h.swan.VIPs()
	for _, v := range vips {
		if strings.Contains(v, ":") == v6 {
			return v, nil
		}
	}
	if len(vips) > 0 {
		return "", fmt.Errorf("%s has the addresses %v", name, vips)
	}
	return own, nil
}

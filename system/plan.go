package system

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/api"
)

// maxConcerned bounds what one line says of a change.
const maxConcerned = 4

// wanted is one context as the configuration wants it.
type wanted struct {
	configs.Tenant
	namespace string
	devices   []netns.Device
	limits    cgroup.Limits
	caged     bool // require_sandbox: of later workers

	// Two equal texts mean that nothing has changed: network for what only a
	// new namespace can change, tenant for all that the worker is told.
	network string
	tenant  string
}

// step is one step of a plan.
type step struct {
	name   string
	action api.Action
	sas    api.Effect
	why    string
	want   *wanted // nil for removal
	old    *wanted // nil for creation
}

// String is the step for the operator.
func (s step) String() string {
	return fmt.Sprintf("%s context %q: %s", s.action, s.name, s.why)
}

// ends tells whether the step takes apart what there is of the context.
func (s step) ends() bool {
	return s.action == api.ActionRemove || s.action == api.ActionRebuild || s.action == api.ActionSuspend
}

// begins tells whether the step begins a life of the context.
func (s step) begins() bool { return s.action != api.ActionRemove && s.action != api.ActionConfigure }

// want computes what a configuration wants of every context. key is secret and
// the same for all configurations that are compared.
func want(conf *configs.System, key []byte) []*wanted {
	var list []*wanted
	for _, c := range conf.Contexts {
		w := &wanted{
			Tenant:    c,
			namespace: conf.Name + "-" + c.Name,
			devices:   devicesOf(conf, c),
			limits: cgroup.Limits{
				CPU: c.Spec.Limits.CPU, Memory: c.Spec.Limits.Memory, PIDs: c.Spec.Limits.PIDs,
				MemoryGuard: slices.Contains(c.Guards, resource.Memory), PIDsGuard: slices.Contains(c.Guards, resource.PIDs),
			},
			caged:  conf.RequireSandbox,
			tenant: configs.Fingerprint(c.Spec, key),
		}
		w.network = fingerprint(key, w.namespace, w.devices, c.Spec.Interfaces, mapped(c.Spec), c.Spec.DataPlane.MTU)
		list = append(list, w)
	}
	return list
}

// fingerprint is equal for equal values.
func fingerprint(key []byte, values ...any) string {
	body, err := json.Marshal(values)
	if err != nil {
		panic("system: internal error: no JSON: " + err.Error())
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// mapped are the interfaces with a crypto map, where the sockets are.
func mapped(t *spec.Tenant) []string {
	var names []string
	for _, m := range t.CryptoMaps {
		names = append(names, m.Interface)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// devicesOf says how a context comes to each of its interfaces.
func devicesOf(conf *configs.System, c configs.Tenant) []netns.Device {
	var list []netns.Device
	for _, a := range c.Allocations {
		i, ok := conf.Interface(a.Interface)
		if !ok {
			continue // Load has made sure that there is one
		}
		d := netns.Device{Interface: a.Name, Kind: netns.Whole, Host: i.Device, VLAN: i.VLAN}
		switch {
		case i.Shared:
			d.Kind, d.MAC = netns.Macvlan, netns.StableMAC(conf.Name, c.Name, a.Name)
		case i.VLAN != 0:
			d.Kind = netns.VLAN
		}
		for _, t := range c.Spec.Interfaces {
			if t.Name != a.Name {
				continue
			}
			d.MTU = t.MTU
			if c.FailoverGroup != "" {
				d.ActiveMAC, d.StandbyMAC = pairMACs(c, t)
				continue
			}
			if t.MAC != (spec.MAC{}) {
				d.MAC = net.HardwareAddr(t.MAC[:])
			}
		}
		list = append(list, d)
	}
	return list
}

// plan compares what is with what is wanted, in the order of the names: removals
// come first, so that what they free can be taken.
func plan(is, want []*wanted) []step {
	had, wants := byName(is), byName(want)
	var steps []step
	for _, old := range is {
		if wants[old.Name] == nil {
			steps = append(steps, step{old.Name, api.ActionRemove, old.endEffect(), "it is no longer configured", nil, old})
		}
	}
	for _, w := range want {
		if s, ok := compare(had[w.Name], w); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

func byName(list []*wanted) map[string]*wanted {
	m := make(map[string]*wanted, len(list))
	for _, w := range list {
		m[w.Name] = w
	}
	return m
}

// compare returns the step from old, which may be nil, to w.
func compare(old, w *wanted) (step, bool) {
	changes := ""
	if old != nil {
		changes = old.changes(w)
	}
	switch {
	case old == nil && w.Suspended:
		return step{w.Name, api.ActionCreate, api.EffectNone, "it is new, and suspended", w, nil}, true
	case old == nil:
		return step{w.Name, api.ActionCreate, api.EffectNone, "it is new", w, nil}, true
	case w.Suspended && !old.Suspended:
		return step{w.Name, api.ActionSuspend, api.EffectEnd, "it is suspended", w, old}, true
	case !w.Suspended && old.Suspended:
		return step{w.Name, api.ActionResume, api.EffectNone, "it is no longer suspended", w, old}, true
	case old.network != w.network && w.Suspended:
		return step{w.Name, api.ActionConfigure, api.EffectNone, "its interfaces have changed", w, old}, true
	case old.network != w.network:
		return step{w.Name, api.ActionRebuild, api.EffectEnd, "its interfaces have changed", w, old}, true
	case old.FailoverGroup != w.FailoverGroup && !w.Suspended:
		return step{w.Name, api.ActionRebuild, api.EffectEnd, "its failover group has changed", w, old}, true
	case changes != "":
		return step{w.Name, api.ActionConfigure, old.configureEffect(w), changes, w, old}, true
	}
	return step{}, false
}

// endEffect is what the end of a context does to its SAs.
func (old *wanted) endEffect() api.Effect {
	if old.Suspended {
		return api.EffectNone
	}
	return api.EffectEnd
}

// configureEffect is what a change in place does to SAs.
func (old *wanted) configureEffect(w *wanted) api.Effect {
	if w.Suspended {
		return api.EffectNone
	}
	if len(concerned(old.Spec, w.Spec)) > 0 {
		return api.EffectSomeEnd
	}
	return api.EffectStay
}

// concerned names what of a tenant has changed that SAs which stand may depend
// on: what the worker ends or rekeys some for.
func concerned(old, w *spec.Tenant) []string {
	var list []string
	add := func(changed bool, what string) {
		if changed {
			list = append(list, what)
		}
	}
	for _, g := range old.TunnelGroups {
		i := slices.IndexFunc(w.TunnelGroups, func(n spec.TunnelGroup) bool { return n.Name == g.Name })
		if i < 0 {
			add(true, fmt.Sprintf("tunnel_group %q", g.Name))
			continue
		}
		n := w.TunnelGroups[i]
		add(!sameKeys(old, g, w, n), fmt.Sprintf("keys of tunnel_group %q", g.Name))
		add(g.Type != n.Type || g.LocalIdentity != n.LocalIdentity || !slices.Equal(g.RemoteIdentities, n.RemoteIdentities),
			fmt.Sprintf("identities of tunnel_group %q", g.Name))
		add(!slices.Equal(g.RemoteNetworks, n.RemoteNetworks) || g.Policy != n.Policy || !slices.Equal(g.AddressPools, n.AddressPools),
			fmt.Sprintf("networks and pools of tunnel_group %q", g.Name))
	}
	for _, n := range w.TunnelGroups { // a new one may be for peers of another
		add(!slices.ContainsFunc(old.TunnelGroups, func(g spec.TunnelGroup) bool { return n.Name == g.Name }), fmt.Sprintf("tunnel_group %q", n.Name))
	}
	for _, p := range old.GroupPolicies {
		i := slices.IndexFunc(w.GroupPolicies, func(n spec.GroupPolicy) bool { return n.Name == p.Name })
		if i < 0 {
			continue // a group that had it has another one now
		}
		n := w.GroupPolicies[i]
		add(!slices.Equal(p.SplitTunnel, n.SplitTunnel) || !slices.Equal(p.AddressPools, n.AddressPools) || !slices.Equal(p.TunnelProtocols, n.TunnelProtocols),
			fmt.Sprintf("networks, pools and protocols of group_policy %q", p.Name))
	}
	for _, p := range old.Pools {
		has := slices.ContainsFunc(w.Pools, func(n spec.Pool) bool {
			return n.Name == p.Name && !p.Start.Less(n.Start) && !n.End.Less(p.End) // it is as large as before, or larger
		})
		add(!has, fmt.Sprintf("ip_pool %q", p.Name))
	}
	before, after := entriesOf(old), entriesOf(w)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		add(before[name] != after[name], "crypto_map entry "+name)
	}
	return list
}

// sameKeys reports whether a tunnel group has the same keys in two versions.
func sameKeys(old *spec.Tenant, g spec.TunnelGroup, w *spec.Tenant, n spec.TunnelGroup) bool {
	same := func(a, b spec.SecretRef) bool { return old.Secret(a).Equal(w.Secret(b)) }
	return same(g.LocalPSK, n.LocalPSK) && same(g.RemotePSK, n.RemotePSK) &&
		slices.EqualFunc(g.RemotePSKs, n.RemotePSKs, func(a, b spec.IdentityPSK) bool { return a.Identity == b.Identity && same(a.PSK, b.PSK) })
}

// entriesOf is what of each crypto map entry decides about who its SAs are with
// and what they carry.
func entriesOf(t *spec.Tenant) map[string]string {
	list := map[string]string{}
	for _, m := range t.CryptoMaps {
		for _, e := range m.Entries {
			list[fmt.Sprintf("%q on %s", e.Name, m.Interface)] = fmt.Sprint(e.Dynamic, e.Peer, e.AnyAddress, e.TunnelGroup, e.RequestAddress, e.Local, e.Remote)
		}
	}
	return list
}

// changes says what of a context has changed that can be changed in place.
func (old *wanted) changes(w *wanted) string {
	var list []string
	if old.limits != w.limits {
		list = append(list, "its limits have changed")
	}
	if old.tenant != w.tenant {
		text := "its configuration has changed"
		if what := concerned(old.Spec, w.Spec); len(what) > 0 {
			if more := len(what) - maxConcerned; more > 0 {
				what = append(what[:maxConcerned], fmt.Sprintf("%d more", more))
			}
			text += " (" + strings.Join(what, ", ") + ")"
		}
		list = append(list, text)
	}
	if old.caged != w.caged {
		list = append(list, "require_sandbox has changed, for its next worker")
	}
	if list == nil && (old.Class != w.Class || old.Config != w.Config || !slices.EqualFunc(old.Allocations, w.Allocations, samePlace) ||
		!slices.Equal(old.Storage, w.Storage)) {
		list = append(list, "its place in the system configuration has changed")
	}
	return strings.Join(list, ", ")
}

// samePlace reports whether two allocations give the same interface under the
// same name. Which addresses are allowed on it was checked on loading.
func samePlace(a, b configs.Allocation) bool { return a.Interface == b.Interface && a.Name == b.Name }

package system

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource/cgroup"
)

// wanted is one context as the configuration wants it.
type wanted struct {
	configs.Tenant
	namespace string
	devices   []netns.Device
	limits    cgroup.Limits

	// Two equal texts mean that nothing has changed: network for what only a
	// new namespace can change, tenant for all that the worker is told.
	network string
	tenant  string
}

// action is what happens to a context.
type action string

const (
	create    action = "create"
	rebuild   action = "rebuild"   // with a new namespace: its SAs end
	configure action = "configure" // in place: its SAs stay
	remove    action = "remove"
)

// step is one step of a plan.
type step struct {
	name   string
	action action
	why    string
	want   *wanted // nil for remove
}

// String is the step for the operator.
func (s step) String() string {
	return fmt.Sprintf("%s context %q: %s", s.action, s.name, s.why)
}

// want computes what a configuration wants of every context. key is secret and
// the same for all configurations that are compared.
func want(conf *configs.System, key []byte) []*wanted {
	var list []*wanted
	for _, c := range conf.Contexts {
		w := &wanted{
			Tenant:    c,
			namespace: conf.Name + "-" + c.Name,
			devices:   devicesOf(conf, c),
			limits:    cgroup.Limits{CPU: c.Spec.Limits.CPU, Memory: c.Spec.Limits.Memory, PIDs: c.Spec.Limits.PIDs},
			tenant:    configs.Fingerprint(c.Spec, key),
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
	var steps []step
	for _, old := range is {
		if find(want, old.Name) == nil {
			steps = append(steps, step{old.Name, remove, "it is no longer configured", nil})
		}
	}
	for _, w := range want {
		old := find(is, w.Name)
		switch {
		case old == nil:
			steps = append(steps, step{w.Name, create, "it is new", w})
		case old.network != w.network:
			steps = append(steps, step{w.Name, rebuild, "its interfaces have changed", w})
		default:
			if changes := old.changes(w); changes != "" {
				steps = append(steps, step{w.Name, configure, changes, w})
			}
		}
	}
	return steps
}

// changes says what of a context has changed that can be changed in place.
func (old *wanted) changes(w *wanted) string {
	var list []string
	if old.limits != w.limits {
		list = append(list, "its limits have changed")
	}
	if old.tenant != w.tenant {
		list = append(list, "its configuration has changed")
	}
	if list == nil && (old.Class != w.Class || old.Config != w.Config || !slices.Equal(old.Allocations, w.Allocations) ||
		!slices.Equal(old.Storage, w.Storage)) {
		list = append(list, "its place in the system configuration has changed")
	}
	return strings.Join(list, ", ")
}

func find(list []*wanted, name string) *wanted {
	for _, w := range list {
		if w.Name == name {
			return w
		}
	}
	return nil
}

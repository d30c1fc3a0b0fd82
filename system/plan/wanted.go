// Package plan compares what a configuration wants of the contexts of a host with what
// there is, and says which steps lead from one to the other, in which order, what each
// does to the SAs of its context and which lines of the configuration are behind it.
//
// It decides and touches nothing: whoever runs the plan has an actor for its steps.
package plan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// Wanted is one context as the configuration wants it. It is not changed once made.
type Wanted struct {
	configs.Tenant
	Namespace      string // of the kernel
	Devices        []spec.Device
	Limits         Limits
	RequireSandbox bool // of later workers

	// Two equal texts mean that nothing has changed: network for what only a
	// new namespace can change, told for all that the worker is told.
	network, told string
	half          bool // as HalfChanged has it
}

// HalfChanged returns w as it is after a change in place has failed: it runs with neither
// what it had nor what it was to have, so that Steps finds a difference to everything.
func (w *Wanted) HalfChanged() *Wanted {
	c := *w
	c.half = true
	return &c
}

// Fingerprint is equal for two values whose workers are told the same.
func (w *Wanted) Fingerprint() string { return w.told }

// Shape is equal for two values that one namespace with its devices and sockets serves,
// of whatever process: it holds no secret, and needs none.
func (w *Wanted) Shape() string {
	body, err := json.Marshal([]any{w.Namespace, w.Devices, w.Spec.Interfaces, mapped(w.Spec), w.Spec.DataPlane.MTU,
		w.FailoverGroup})
	if err != nil {
		panic("plan: internal error: no JSON: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Limits are what the kernel holds the processes of a context to. 0: no limit.
type Limits struct {
	CPU    float64 // cores
	Memory int64   // bytes
	PIDs   int     // processes and threads

	// MemoryGuard and PIDsGuard say that the cap is a default that nobody has
	// written down: it is held where the kernel can, and missing it is no error.
	MemoryGuard, PIDsGuard bool
}

// Want returns what a configuration wants of every context. key is secret and the
// same for all configurations that are compared.
func Want(conf *configs.System, key []byte) []*Wanted {
	var list []*Wanted
	for _, c := range conf.Contexts {
		w := &Wanted{
			Tenant:    c,
			Namespace: conf.Name + "-" + c.Name,
			Devices:   devicesOf(conf, c),
			Limits: Limits{
				CPU: c.Spec.Limits.CPU, Memory: c.Spec.Limits.Memory, PIDs: c.Spec.Limits.PIDs,
				MemoryGuard: slices.Contains(c.Guards, resource.Memory), PIDsGuard: slices.Contains(c.Guards,
					resource.PIDs),
			},
			RequireSandbox: conf.RequireSandbox,
			told:           configs.Fingerprint(c.Spec, key),
		}
		w.network = fingerprint(key, w.Namespace, w.Devices, c.Spec.Interfaces, mapped(c.Spec), c.Spec.DataPlane.MTU)
		list = append(list, w)
	}
	return list
}

// fingerprint is equal for equal values.
func fingerprint(key []byte, values ...any) string {
	body, err := json.Marshal(values)
	if err != nil {
		panic("plan: internal error: no JSON: " + err.Error())
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
func devicesOf(conf *configs.System, c configs.Tenant) []spec.Device {
	var list []spec.Device
	for _, a := range c.Allocations {
		i, ok := conf.Interface(a.Interface)
		if !ok {
			continue // Load has made sure that there is one
		}
		d := spec.Device{Interface: a.Name, Kind: spec.WholeDevice, Host: i.Device, VLAN: i.VLAN}
		switch {
		case i.Shared:
			d.Kind, d.MAC = spec.Macvlan, stableMAC(conf.Name, c.Name, a.Name)
		case i.VLAN != 0:
			d.Kind = spec.VLAN
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
			if !t.MAC.IsZero() {
				d.MAC = t.MAC
			}
		}
		list = append(list, d)
	}
	return list
}

package tenants

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/context/spec"
)

// State is where a context is in its life.
type State string

// The states of a context.
const (
	StateStarting State = "starting" // its worker does not answer yet
	StateReady    State = "ready"    // its worker answers
	StateFailed   State = "failed"   // it cannot run; the reason says why
	StateStopping State = "stopping"
	// StateSuspended: it is configured not to run.
	StateSuspended State = "suspended"
)

// Row is one row of `show context`.
type Row struct {
	Name       string
	State      State
	Reason     string // why it is not ready, or the last loss of its worker
	Class      string
	Role       string // "active"; with failover also "standby"
	PID        int    // of the worker; 0: there is none
	Restarts   int    // of the worker, since the context was created
	Started    time.Time
	Sandbox    string // what confines the worker, and what is missing
	Build      string // of the worker's program
	ConfigURL  string
	Namespace  string
	Interfaces []Interface
}

// Interface is one data interface of a context.
type Interface struct {
	Name      string // as the context calls it: "outside"
	Allocated string // as the system calls it: "Ethernet1/1"
	Device    string // as the kernel calls it, or called it
	Shared    bool
	MAC       string
	MTU       int
	Addresses []netip.Prefix
}

// condition returns the state and its reason without calling the worker.
func (t *tenant) condition() (State, string) {
	t.mu.Lock()
	state, reason, worker := t.state, t.reason, t.worker
	t.mu.Unlock()
	if worker == nil || state == StateStopping {
		return state, reason
	}
	s := worker.Status()
	return stateOf(s), s.Reason
}

// row is the context for `show context`.
func (t *tenant) row() Row {
	t.mu.Lock()
	w, worker, gateway := t.want, t.worker, t.gateway
	row := Row{
		Name: t.name, State: t.state, Reason: t.reason, Class: w.Class, Role: t.env.Pair.Role(w),
		ConfigURL: w.Config.String(), Namespace: w.Namespace,
	}
	t.mu.Unlock()
	if w.Config.Scheme == configs.SchemeDisk {
		row.ConfigURL = "disk0:" + w.Config.Path
	}
	if worker != nil {
		s := worker.Status()
		row.PID, row.Restarts, row.Started, row.Sandbox = s.PID, s.Restarts, s.Started, s.Sandbox.String()
		row.Build = s.Build
		row.State, row.Reason = t.condition()
	}
	for i, d := range w.Devices {
		out := Interface{Name: d.Interface, Allocated: w.Allocations[i].Interface, Device: d.Host,
			Shared: d.Kind == spec.Macvlan}
		if d.VLAN != 0 {
			out.Device = fmt.Sprintf("%s.%d", d.Host, d.VLAN)
		}
		for _, one := range w.Spec.Interfaces {
			if one.Name == d.Interface {
				out.Addresses = one.Addresses
			}
		}
		if gateway != nil {
			_, out.MAC, out.MTU = gateway.Link(d.Interface)
			out.Addresses = gateway.Addresses(d.Interface) // those of the role
		}
		row.Interfaces = append(row.Interfaces, out)
	}
	return row
}

// stateOf is the state of a context with a worker.
func stateOf(s spawn.Status) State {
	switch {
	case s.Ready:
		return StateReady
	case s.Losses >= lossesFailed:
		return StateFailed
	}
	return StateStarting
}

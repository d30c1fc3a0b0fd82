// Package configs turns HCL text into validated, immutable values: the system
// configuration and the contexts that it names. It parses, it does not
// validate-and-hope: what Load returns without errors holds together, with
// every name resolved, every default filled in and every percentage an
// absolute number. All problems are found in one run, each with its place, a
// snippet and a remedy; secrets are masked in the snippets.
//
// The package does no I/O: files and environment come through a Loader. The
// language is described, option by option with its default, in
// reference/system.hcl and reference/context.hcl, which the tests hold to the
// code.
package configs

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/resource"
)

// System is a whole configuration: the system file and all that it names. It
// is not changed after Load.
type System struct {
	Name     string // names on the host derive from it
	StateDir string // absolute path; holds disk0: of every context
	RunDir   string // absolute path; sockets, names of namespaces

	// RequireSandbox: no worker starts, and no text of a context is checked, where the kernel
	// lacks a part of what confines the process that would do it.
	RequireSandbox bool

	// APIGroup is the group of the host whose members may use the API to read; "":
	// nobody but root.
	APIGroup string

	// Totals are what percentages in a class refer to.
	Totals resource.Totals

	Interfaces []Interface
	Classes    []resource.Class // class "default" is always there, first
	Contexts   []Tenant
	Failover   *Failover // nil: a node alone

	// Files are all that was read, in this order: the system file, then
	// contexts and secrets as they are named.
	Files []Location
}

// Interface returns the interface called name.
func (s *System) Interface(name string) (Interface, bool) {
	for _, i := range s.Interfaces {
		if i.Name == name {
			return i, true
		}
	}
	return Interface{}, false
}

// Context returns the context called name.
func (s *System) Context(name string) (Tenant, bool) {
	for _, c := range s.Contexts {
		if c.Name == name {
			return c, true
		}
	}
	return Tenant{}, false
}

// Interface is one interface of the system: a device of the namespace that
// warrend runs in, or an 802.1Q subinterface of one ("Ethernet1/1.200").
type Interface struct {
	Name string
	// Device is the name of the Linux device; for a subinterface, that of its
	// parent.
	Device string
	// Parent is the interface that a subinterface belongs to, and VLAN its
	// 802.1Q identifier; "" and 0 where the interface is a whole device.
	Parent string
	VLAN   int
	// Shared allows several contexts: each gets a macvlan on the device.
	// Without it the device itself moves into its context.
	Shared bool
}

// Tenant is one context as the system sees it, with its specification for the
// worker.
type Tenant struct {
	Name  string
	Class string // "default" where no member is set
	// Guards are limits that no class says anything of: defaults, for the sake of
	// other contexts. Whoever enforces them may do without where the host cannot.
	Guards []resource.Name
	Config Location
	// Allocations are in the order of the file. Each has an Interface of the
	// same Name in Spec, if the context configures it.
	Allocations []Allocation
	// Suspended: the context keeps its configuration and its files, and nothing
	// of it runs.
	Suspended bool
	// FailoverGroup is the name of one of Failover.Groups: the one that the context
	// names, else a group of its own with its own name; "" without failover.
	FailoverGroup string
	Storage       []Storage // beside disk0:
	Spec          *spec.Tenant
}

// Allocation gives an interface of the system to a context.
type Allocation struct {
	Interface string // of the system
	Name      string // in the context
	// Addresses are the networks that the addresses of the interface, active and
	// standby, and what the context answers for in its subnets, lie within; empty:
	// any.
	Addresses []netip.Prefix
}

// Storage is a directory of the host that a context can read. Many contexts may
// have the same.
type Storage struct {
	Label string // the volume: the context's file is "label:/path"; one for each Path
	Path  string // absolute; neither within state_dir or run_dir nor around them
}

// Failover is this node's half of a failover pair.
type Failover struct {
	Unit failover.Unit
	Key  secret.Value // the same on both nodes, 16 characters or more
	// PreviousKey is taken as well, while Key is changed on one node after the
	// other; empty: there is none.
	PreviousKey secret.Value
	// Poll is the interval of heartbeats on every link; a peer that was not
	// heard for Hold is dead.
	Poll, Hold time.Duration
	Links      []FailoverLink // at least one
	// Groups are those that the system file declares, in its order, then one for
	// each context that names none, in the order of the contexts.
	Groups []FailoverGroup
	// Default are the terms of the latter, which the group "*" sets; its Name is
	// "*", and Monitor and InterfacePolicy are empty.
	Default FailoverGroup
}

// SharesKey reports whether one of the keys is one of the other's: else two nodes, or
// one before and after a change, are strangers.
func (f *Failover) SharesKey(other *Failover) bool {
	for _, key := range f.Keys() {
		if slices.ContainsFunc(other.Keys(), func(k secret.Value) bool {
			return bytes.Equal(k.Reveal(), key.Reveal())
		}) {
			return true
		}
	}
	return false
}

// Keys returns Key, and PreviousKey where there is one.
func (f *Failover) Keys() []secret.Value {
	keys := []secret.Value{f.Key}
	if f.PreviousKey.Len() > 0 {
		keys = append(keys, f.PreviousKey)
	}
	return keys
}

// FailoverLink is one path between the two nodes.
type FailoverLink struct {
	Name      string
	Interface string       // of the system; no context has it
	Address   netip.Prefix // this node's, with the length of the subnet
	Peer      netip.Addr   // the other node's
}

// FailoverGroup is a set of contexts that are active on the same node: those that
// name it, or a single one that names none.
type FailoverGroup struct {
	Name string
	// Own: the group is that of the context of the same name, which names none.
	Own    bool
	Prefer failover.Unit // active here when both units start at once
	// Preempt gives the role back to the preferred unit once it is in step,
	// not before PreemptDelay has passed since then.
	Preempt      bool
	PreemptDelay time.Duration
	// Monitor are the interfaces of the system whose health counts, in order of
	// their declaration; a unit with InterfacePolicy of them down, 1 or more,
	// has failed. Both are empty where nothing is to be monitored.
	Monitor         []string
	InterfacePolicy int
}

// Machine is the size of the machine: what percentages refer to where the
// system file sets no limit of its own. 0 means unknown; a percentage of
// something unknown is an error.
type Machine struct {
	Cores  float64
	Memory int64 // bytes
}

// Load reads the system file at path, which is absolute or relative to what
// the loader says, and every file that it names. Without errors in the
// Diagnostics the System is complete; with errors it is nil. Warnings, and the
// sources for the snippets, are in the Diagnostics either way, sorted by file
// (in the order of System.Files) and place.
func Load(l Loader, path string, m Machine) (*System, *Diagnostics) {
	return newReader(l, m).load(path)
}

// load is Load.
func (r *reader) load(path string) (*System, *Diagnostics) {
	s := r.readSystem(path)
	r.sort()
	if r.diags.HasErrors() {
		return nil, r.diags
	}
	return s, r.diags
}

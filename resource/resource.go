// Package resource holds what an operator may ration among contexts: classes
// of limits with inheritance, the arithmetic of percentages and guarantees,
// token buckets, and meters that count use, peak and denials. It is a leaf: no
// I/O, no clock (instants are arguments), and nothing in it is safe for
// concurrent use.
package resource

// Name is a resource that a class limits.
type Name string

// The resources.
const (
	Sessions      Name = "vpn_anyconnect"       // concurrent remote-access sessions
	SiteToSite    Name = "vpn_other"            // concurrent site-to-site tunnels
	InNegotiation Name = "ikev2_in_negotiation" // half-open IKEv2 SAs
	CPU           Name = "cpu"                  // cores of the machine
	Memory        Name = "memory"               // bytes of the worker
	PIDs          Name = "pids"                 // processes and threads of the worker
	Storage       Name = "storage"              // bytes on disk0:
)

// Unit says what a resource is counted in.
type Unit uint8

// The units.
const (
	Count Unit = iota // whole things
	Cores             // processors, fractions allowed
	Bytes
)

// Kind describes one resource.
type Kind struct {
	Name Name
	Unit Unit
	// Guarantee means that the limits of all contexts together may not exceed
	// the total: what a class promises is there.
	Guarantee bool
}

// Kinds returns all resources, in the order of `show resource usage`.
func Kinds() []Kind {
	return []Kind{
		{Name: Sessions, Guarantee: true},
		{Name: SiteToSite, Guarantee: true},
		{Name: InNegotiation},
		{Name: CPU, Unit: Cores},
		{Name: Memory, Unit: Bytes},
		{Name: PIDs},
		{Name: Storage, Unit: Bytes},
	}
}

// Lookup returns the resource called name.
func Lookup(name Name) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Package resource holds what an operator may ration among contexts: classes
// of limits with inheritance, the arithmetic of percentages and guarantees,
// token buckets, and meters that count use, peak and denials. It is a leaf: no
// I/O, no clock (instants are arguments), and nothing in it is safe for
// concurrent use.
package resource

import "fmt"

// Name is a resource that a class limits.
type Name string

// The resources. Those of the old appliance have its names.
const (
	Sessions         Name = "vpn_anyconnect"       // concurrent remote-access sessions that are promised
	SiteToSite       Name = "vpn_other"            // concurrent site-to-site tunnels that are promised
	BurstSessions    Name = "vpn_burst_anyconnect" // remote-access sessions beyond that, from the shared rest
	BurstSiteToSite  Name = "vpn_burst_other"      // site-to-site tunnels beyond that, from the shared rest
	InNegotiation    Name = "ikev2_in_negotiation" // half-open IKEv2 SAs
	InNegotiationOld Name = "ikev1_in_negotiation" // half-open IKEv1 SAs
	Setups           Name = "ike_setups"           // IKE SAs begun by peers, per second
	MACAddresses     Name = "mac_addresses"        // entries of the neighbour tables
	Routes           Name = "routes"               // static ones, and those that the worker asks for
	APISessions      Name = "api_sessions"         // requests about the context that are being answered
	Syslogs          Name = "syslogs"              // log lines of the worker, per second
	Storage          Name = "storage"              // bytes on disk0:
	StorageFiles     Name = "storage_files"        // files and directories on disk0:
	CPU              Name = "cpu"                  // cores of the machine
	Memory           Name = "memory"               // bytes of the worker
	PIDs             Name = "pids"                 // processes and threads of the worker
	BandwidthIn      Name = "bandwidth_in"         // ESP that comes in, before it is opened
	BandwidthOut     Name = "bandwidth_out"        // packets that go out, before they are sealed
	Packets          Name = "packets"              // both directions together, per second
)

// Unit says what a resource is counted in.
type Unit uint8

// The units.
const (
	Count Unit = iota // whole things
	Cores             // processors, fractions allowed; counted in thousandths
	Bytes
	Bits // per second
	Rate // whole things per second
)

// units are the words for what is counted: whole numbers, of cores thousandths.
var units = [...]string{Count: "count", Cores: "millicores", Bytes: "bytes", Bits: "bits/s", Rate: "1/s"}

// String returns the word for what is counted, as the API and scripts know it.
func (u Unit) String() string {
	if int(u) < len(units) {
		return units[u]
	}
	return fmt.Sprintf("unit %d", uint8(u))
}

// MarshalText implements encoding.TextMarshaler: what String returns.
func (u Unit) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *Unit) UnmarshalText(text []byte) error {
	for i, word := range units {
		if word == string(text) {
			*u = Unit(i)
			return nil
		}
	}
	return fmt.Errorf("resource: %.20q is no unit", text)
}

// None as a limit of a shared rest means that a context gets nothing of it.
const None = -1

// Kind describes one resource.
type Kind struct {
	Name Name
	Unit Unit
	// Guarantee means that the limits of all contexts together may not exceed
	// the total: what a class promises is there.
	Guarantee bool
	// Of is, for a share of the rest that no guarantee has taken, the name of
	// that guarantee. Such a limit is not set by "all", and what is not set is
	// None.
	Of Name
}

// Kinds returns all resources, in the order of `show resource usage`. The list is not to be
// changed.
func Kinds() []Kind { return kinds }

var kinds = []Kind{
	{Name: Sessions, Guarantee: true},
	{Name: BurstSessions, Of: Sessions},
	{Name: SiteToSite, Guarantee: true},
	{Name: BurstSiteToSite, Of: SiteToSite},
	{Name: InNegotiation},
	{Name: InNegotiationOld},
	{Name: Setups, Unit: Rate},
	{Name: BandwidthIn, Unit: Bits},
	{Name: BandwidthOut, Unit: Bits},
	{Name: Packets, Unit: Rate},
	{Name: Routes},
	{Name: MACAddresses},
	{Name: APISessions},
	{Name: Syslogs, Unit: Rate},
	{Name: Storage, Unit: Bytes},
	{Name: StorageFiles},
	{Name: CPU, Unit: Cores},
	{Name: Memory, Unit: Bytes},
	{Name: PIDs},
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

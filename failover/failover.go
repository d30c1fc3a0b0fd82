// Package failover decides which of two nodes is active for each failover
// group. Node is a pure state machine: heartbeats, link and interface health,
// progress of replication and the operator's wishes go in with the time they
// happened at; heartbeats to send, role changes to carry out and events come
// out. It sends nothing, moves no address, mutes no worker and reads no clock;
// package failover/link carries heartbeats, the supervisor does the rest.
//
// What the machine rests on:
//
//   - Every activation has an epoch higher than any that the node has heard of.
//     The primary uses odd epochs and the secondary even ones, so no two
//     activations share one. When two active nodes hear each other, the lower
//     epoch goes standby at once.
//   - A silent peer is asked over the data interfaces before anybody takes
//     over: they carry the same authenticated heartbeats while the links are
//     silent.
//   - A peer is believed after it has repeated a challenge of ours, and every
//     heartbeat counts once: a recorded one changes nothing.
package failover

import "fmt"

// Unit is what a node is configured to be, as opposed to its role.
type Unit uint8

// The units of a pair.
const (
	UnitNone      Unit = iota // as a preference: none
	UnitPrimary               // wins where nothing else decides
	UnitSecondary             // the other one
)

// String returns the word of the configuration.
func (u Unit) String() string {
	switch u {
	case UnitNone:
		return "none"
	case UnitPrimary:
		return "primary"
	case UnitSecondary:
		return "secondary"
	}
	return fmt.Sprintf("unit %d", uint8(u))
}

// MarshalText implements encoding.TextMarshaler: the word of the configuration.
func (u Unit) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *Unit) UnmarshalText(text []byte) error {
	return readWord(text, u, UnitNone, UnitPrimary, UnitSecondary)
}

// readWord reads one of the values of a type by its text.
func readWord[T fmt.Stringer](text []byte, to *T, values ...T) error {
	for _, v := range values {
		if v.String() == string(text) {
			*to = v
			return nil
		}
	}
	return fmt.Errorf("failover: %.20q is no %T", text, *to)
}

// Role is the state of one failover group on one node.
//
//	               +-------------+  own failure   +--------+
//	  init ------->| negotiation |--------------->| failed |<--- from every role
//	               +-------------+<---------------+--------+     but init
//	  peer active    |         |  nobody better     recovery       |
//	                 v         v                                   | peer silent
//	+--------------+       +--------+<-----------------------------+ or worse
//	| standby-cold |------>| active |
//	+--------------+       +--------+  peer silent, restarted, failed or
//	  |    ^     ^            ^  | |   handing over: from every standby role
//	  |    |     +------------|--+ |
//	  |    |  replication     |    v switch, split brain with a higher epoch,
//	  v    |  lost            |      hand-over for an interface
//	+-----------+             |
//	| bulk-sync |-------------+
//	+-----------+             |
//	  |    ^                  |
//	  v    | gap              |
//	+---------------+         |
//	| standby-ready |---------+
//	+---------------+
type Role uint8

// The roles.
const (
	RoleInit         Role = iota // not started
	RoleNegotiation              // looking for the peer
	RoleStandbyCold              // the peer is active, its state is not here
	RoleBulkSync                 // the peer's state is on its way
	RoleStandbyReady             // everything the peer acknowledges is here first
	RoleActive                   // serving
	RoleFailed                   // not fit to serve while the peer is
	numRoles
)

var roleNames = [numRoles]string{
	"init", "negotiation", "standby-cold", "bulk-sync", "standby-ready", "active", "failed",
}

// String returns the name of the role as `show failover` prints it.
func (r Role) String() string {
	if r < numRoles {
		return roleNames[r]
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Standby reports whether the role is one of the three that follow the peer.
func (r Role) Standby() bool {
	return r == RoleStandbyCold || r == RoleBulkSync || r == RoleStandbyReady
}

// edges are the allowed transitions.
var edges = [numRoles][numRoles]bool{
	RoleInit:         {RoleNegotiation: true, RoleActive: true},
	RoleNegotiation:  {RoleStandbyCold: true, RoleActive: true, RoleFailed: true},
	RoleStandbyCold:  {RoleBulkSync: true, RoleStandbyReady: true, RoleActive: true, RoleFailed: true},
	RoleBulkSync:     {RoleStandbyCold: true, RoleStandbyReady: true, RoleActive: true, RoleFailed: true},
	RoleStandbyReady: {RoleStandbyCold: true, RoleBulkSync: true, RoleActive: true, RoleFailed: true},
	RoleActive:       {RoleActive: true, RoleStandbyCold: true, RoleFailed: true}, // itself: a new epoch
	RoleFailed:       {RoleNegotiation: true, RoleActive: true},
}

// Replication is how far the standby's copy of one tenant is.
type Replication uint8

// The stages of replication.
const (
	ReplicationNone  Replication = iota // no session with the twin
	ReplicationBulk                     // the snapshot is on its way
	ReplicationReady                    // in step
)

// String returns the stage in a word.
func (r Replication) String() string {
	switch r {
	case ReplicationNone:
		return "none"
	case ReplicationBulk:
		return "bulk"
	case ReplicationReady:
		return "ready"
	}
	return fmt.Sprintf("replication %d", uint8(r))
}

// MarshalText implements encoding.TextMarshaler: the stage in a word.
func (r Replication) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Replication) UnmarshalText(text []byte) error {
	return readWord(text, r, ReplicationNone, ReplicationBulk, ReplicationReady)
}

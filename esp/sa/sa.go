// Package sa holds the values that IKE, ESP and failover share: algorithms as
// proposals name them, traffic selectors, security associations and the stream
// of changes to them. It is a leaf: values and their codecs only, no I/O, no
// tables, no cryptography (RFC 4301 section 4.4, RFC 7296 section 3.3).
package sa

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// SPI identifies an inbound SA at its receiver (RFC 4303 section 2.1). The
// values 0 to 255 are reserved and never assigned.
type SPI uint32

// String returns the SPI as tools print it: 0x and eight hexadecimal digits.
func (s SPI) String() string { return fmt.Sprintf("0x%08x", uint32(s)) }

// Encap says how ESP travels between the gateways.
type Encap uint8

// The encapsulations.
const (
	EncapRaw Encap = iota // IP protocol 50
	EncapUDP              // UDP port 4500 (RFC 3948)
)

// String returns "esp" or "udp".
func (e Encap) String() string {
	if e == EncapUDP {
		return "udp"
	}
	return "esp"
}

// SA is one direction of a child SA. The algorithms are the chosen transforms;
// Integrity is the zero Transform for an AEAD. EncryptionKey includes the salt
// of RFC 4106 section 8.1 or RFC 7634 section 2 where the cipher has one.
type SA struct {
	SPI           SPI
	Encryption    Transform
	Integrity     Transform
	ESN           bool
	EncryptionKey secret.Value
	IntegrityKey  secret.Value
}

// Child is a pair of SAs, one a direction, with what both share.
type Child struct {
	// ID names the pair for its whole life, on every node and across restarts
	// of the worker; it is unique within the tenant and never used again.
	ID uint64
	// Owner is our own SPI of the IKE SA that made it.
	Owner uint64
	// Slot is the index of the pair's counters in the tenant's counter memory.
	// The driver chooses it when it installs the pair.
	Slot uint32

	In, Out SA // In.SPI is ours, Out.SPI is the peer's

	// Local and Remote are the traffic selectors seen from this gateway.
	Local, Remote []Selector

	// LocalAddr and RemoteAddr are the outer addresses. The ports count only
	// with EncapUDP.
	LocalAddr, RemoteAddr netip.AddrPort
	Encap                 Encap

	// ReplayWindow is the size in packets, 64 to 4096; 0 switches the replay
	// check off.
	ReplayWindow uint32

	// Expires is when the hard lifetime ends; zero: never. BytesLimit is the
	// hard volume limit of one direction; 0: none.
	Expires    time.Time
	BytesLimit uint64
}

// Op says what a Change does.
type Op uint8

// The steps in the life of a child SA.
const (
	OpAdd    Op = iota + 1 // install Child
	OpMove                 // Child.ID gets LocalAddr, RemoteAddr and Encap of Child (MOBIKE, NAT)
	OpRekey                // install Child; outbound traffic of Replaces moves to it
	OpDelete               // remove Child.ID and forget its keys
	OpFollow               // as OpRekey, but outbound traffic moves when the peer has used Child, or Replaces is gone
)

// String returns the name of the step.
func (o Op) String() string {
	switch o {
	case OpAdd:
		return "add"
	case OpMove:
		return "move"
	case OpRekey:
		return "rekey"
	case OpDelete:
		return "delete"
	case OpFollow:
		return "follow"
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// Installs reports whether the step brings a new child SA.
func (o Op) Installs() bool { return o == OpAdd || o == OpRekey || o == OpFollow }

// Change is one step in the life of a child SA. The same changes in the same
// order give the same tables on every node: the data plane, the standby and a
// restarted worker all consume this one stream. OpMove and OpDelete use only
// the fields of Child that Op names.
type Change struct {
	Op       Op
	Child    Child
	Replaces uint64 // OpRekey, OpFollow: the ID of the pair that it follows
}

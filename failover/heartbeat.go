package failover

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/warrenvpn/warren/internal/secret"
)

// Version is that of the heartbeat. A peer with another one is refused.
const Version = 2

const (
	// MaxHeartbeat bounds a heartbeat: with its headers it fits into a frame of
	// 1,500 octets.
	MaxHeartbeat = 1400
	// MaxDatagram bounds a heartbeat of any version.
	MaxDatagram = 8192
)

// What precedes the body, and the code at the end over all of it, are the same
// in every version: it is how a node finds out, and says, that its peer has
// another one. Nothing is looked at before the code has been checked.
//
//	"WHB" version unit hints length(2) | body | HMAC-SHA256(32)
const (
	heartbeatMagic = "WHB"
	heartbeatHead  = 8
	heartbeatMAC   = sha256.Size
	// heartbeatFixed is what a heartbeat takes without its entries and names.
	heartbeatFixed = heartbeatHead + 8*8 + len(Digest{}) + 1 + 1 + 1 + 2 + heartbeatMAC

	hintActive = 1 << 0 // some group is active here
)

// Reasons to refuse a heartbeat.
var (
	ErrMalformed = errors.New("failover: malformed heartbeat")
	ErrVersion   = errors.New("failover: peer speaks another version")
	ErrForged    = errors.New("failover: peer has another failover key")
	ErrUnit      = errors.New("failover: both nodes are configured as the same unit")
	ErrProgram   = errors.New("failover: peer runs another version of the program")
	ErrReplayed  = errors.New("failover: heartbeat is old")
	ErrWrongPath = errors.New("failover: heartbeat belongs to another link")
)

// Heartbeat is what one node tells the other.
type Heartbeat struct {
	Unit      Unit
	Active    bool   // some group is active here
	Instance  uint64 // random, new in every life of the node
	Counter   uint64 // grows with every heartbeat of an instance
	Challenge uint64 // to be repeated by a peer that wants to be believed
	Echo      uint64 // the peer's challenge
	Clock     uint64 // of the sender, in milliseconds since 1970
	Path      string // the link's name; "" on a data path
	Ask       bool   // on a data path: please answer
	Program   string // version of the program
	// Version and Digest are those of everything that the sender has to tell;
	// Entries is a part of it.
	Version uint64
	Digest  Digest
	Entries []Entry
	// Of is the instance of the peer whose version Seen is here as a whole; 0:
	// none.
	Of, Seen uint64
}

// GroupState is one group as a heartbeat reports it.
type GroupState struct {
	Role        Role
	Epoch       uint64
	Used        uint64 // highest epoch that this node may have been active with, in any life
	Replication Replication
	Failed      uint8  // monitored interfaces that are down, at most 255
	Broken      uint16 // contexts that cannot run here
	Ready       uint16 // contexts whose copy here is in step
	Held        uint16 // contexts of which a complete copy is here, or that are served
	Impaired    bool   // as many interfaces are down as the policy says
	Fit         bool   // could serve: some worker runs, not all interfaces are down
	Want        Want
	Handover    bool // the peer shall take over now
	Holds       bool // has a copy of the state of every context that is waited for, or serves
	Hash        [16]byte
}

// Want is why a standby asks for the role.
type Want uint8

// The wishes.
const (
	WantNothing Want = iota
	WantOperator
	WantPreempt
)

// Group flags.
const (
	flagImpaired = 1 << iota
	flagFit
	flagHandover
	flagHolds
	flagsKnown = 1<<iota - 1
)

// deriveKey returns the key of the heartbeats.
func deriveKey(key secret.Value) secret.Value {
	k, err := hkdf.Key(sha256.New, key.Reveal(), nil, "warren failover heartbeat 1", sha256.Size)
	if err != nil {
		panic("failover: internal error: " + err.Error())
	}
	return secret.New(k)
}

// AppendHeartbeat appends h, authenticated with key. Lengths are those that
// Config allows, and all entries together fit into MaxHeartbeat.
func AppendHeartbeat(b []byte, h *Heartbeat, key secret.Value) []byte {
	start := len(b)
	b = append(b, heartbeatMagic...)
	b = append(b, Version, byte(h.Unit), flag(h.Active, hintActive), 0, 0)
	build := cryptobyte.NewBuilder(b)
	for _, v := range []uint64{h.Instance, h.Counter, h.Challenge, h.Echo, h.Clock, h.Version, h.Of, h.Seen} {
		build.AddUint64(v)
	}
	build.AddBytes(h.Digest[:])
	addString(build, h.Path)
	build.AddUint8(flag(h.Ask, 1))
	addString(build, h.Program)
	build.AddUint16(uint16(len(h.Entries)))
	for i := range h.Entries {
		h.Entries[i].add(build)
	}
	b = build.BytesOrPanic()
	size := len(b) - start + heartbeatMAC
	b[start+6], b[start+7] = byte(size>>8), byte(size)
	return heartbeatSum(b, b[start:], key)
}

// room is what a heartbeat with these names has left for entries.
func room(path, program string) int { return MaxHeartbeat - heartbeatFixed - len(path) - len(program) }

// heartbeatSum appends the code of all that precedes it.
func heartbeatSum(b, text []byte, key secret.Value) []byte {
	mac := hmac.New(sha256.New, key.Reveal())
	mac.Write(text)
	return mac.Sum(b)
}

func (g *GroupState) add(b *cryptobyte.Builder) {
	b.AddUint8(uint8(g.Role))
	b.AddUint64(g.Epoch)
	b.AddUint64(g.Used)
	b.AddUint8(uint8(g.Replication))
	b.AddUint8(g.Failed)
	b.AddUint16(g.Broken)
	b.AddUint16(g.Ready)
	b.AddUint16(g.Held)
	b.AddUint8(flag(g.Impaired, flagImpaired) | flag(g.Fit, flagFit) |
		flag(g.Handover, flagHandover) | flag(g.Holds, flagHolds))
	b.AddUint8(uint8(g.Want))
	b.AddBytes(g.Hash[:])
}

// hint is what the head of an authentic heartbeat says that cannot be
// understood, or is not wanted. It is good for one decision only: not to become
// active beside a peer that serves.
type hint struct {
	version byte
	unit    Unit
	active  bool
}

// parseHint authenticates a heartbeat of any version.
func parseHint(b []byte, key secret.Value) (hint, error) {
	if len(b) < heartbeatHead+heartbeatMAC || len(b) > MaxDatagram || string(b[:3]) != heartbeatMagic ||
		int(b[6])<<8|int(b[7]) != len(b) {
		return hint{}, ErrMalformed
	}
	signed := len(b) - heartbeatMAC
	if !hmac.Equal(heartbeatSum(nil, b[:signed], key), b[signed:]) {
		return hint{}, ErrForged
	}
	return hint{version: b[3], unit: Unit(b[4]), active: b[5]&hintActive != 0}, nil
}

// ParseHeartbeat authenticates and parses a heartbeat.
func ParseHeartbeat(b []byte, key secret.Value) (*Heartbeat, error) {
	hint, err := parseHint(b, key)
	switch {
	case err != nil:
		return nil, err
	case hint.version != Version:
		return nil, ErrVersion
	case len(b) > MaxHeartbeat, hint.unit != UnitPrimary && hint.unit != UnitSecondary, b[5]&^hintActive != 0:
		return nil, ErrMalformed
	}
	h := &Heartbeat{Unit: hint.unit, Active: hint.active}
	s := cryptobyte.String(b[heartbeatHead : len(b)-heartbeatMAC])
	if !h.read(&s) || !s.Empty() {
		return nil, ErrMalformed
	}
	return h, nil
}

func (h *Heartbeat) read(s *cryptobyte.String) bool {
	for _, v := range []*uint64{&h.Instance, &h.Counter, &h.Challenge, &h.Echo, &h.Clock, &h.Version, &h.Of, &h.Seen} {
		if !s.ReadUint64(v) {
			return false
		}
	}
	var ask uint8
	var entries uint16
	if !s.CopyBytes(h.Digest[:]) || !readString(s, &h.Path) || !s.ReadUint8(&ask) || ask > 1 ||
		!readString(s, &h.Program) || !s.ReadUint16(&entries) {
		return false
	}
	h.Ask = ask == 1
	for range entries { // each takes some of s: a count that lies ends soon
		var e Entry
		if !e.read(s) {
			return false
		}
		h.Entries = append(h.Entries, e)
	}
	return true
}

func (g *GroupState) read(s *cryptobyte.String) bool {
	var role, replication, flags, want uint8
	if !s.ReadUint8(&role) || !s.ReadUint64(&g.Epoch) || !s.ReadUint64(&g.Used) ||
		!s.ReadUint8(&replication) || !s.ReadUint8(&g.Failed) || !s.ReadUint16(&g.Broken) ||
		!s.ReadUint16(&g.Ready) || !s.ReadUint16(&g.Held) || !s.ReadUint8(&flags) ||
		!s.ReadUint8(&want) || !s.CopyBytes(g.Hash[:]) {
		return false
	}
	g.Role, g.Replication, g.Want = Role(role), Replication(replication), Want(want)
	g.Impaired, g.Fit = flags&flagImpaired != 0, flags&flagFit != 0
	g.Handover, g.Holds = flags&flagHandover != 0, flags&flagHolds != 0
	return g.Role < numRoles && g.Replication <= ReplicationReady && g.Want <= WantPreempt && flags&^flagsKnown == 0
}

func addString(b *cryptobyte.Builder, s string) {
	if len(s) > MaxName {
		panic(fmt.Sprintf("failover: internal error: name of %d bytes", len(s)))
	}
	b.AddUint8(uint8(len(s)))
	b.AddBytes([]byte(s))
}

func readString(s *cryptobyte.String, out *string) bool {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) || len(v) > MaxName {
		return false
	}
	*out = string(v)
	return true
}

func flag(on bool, bit uint8) uint8 {
	if on {
		return bit
	}
	return 0
}

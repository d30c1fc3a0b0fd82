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
const Version = 1

// MaxHeartbeat bounds a heartbeat. The usual one has less than 400 bytes.
const MaxHeartbeat = 8192

// What precedes the body is the same in every version: it is how a node finds
// out, and says, that its peer has another one.
//
//	"WHB" version unit hints length(2) | body | HMAC-SHA256(32)
const (
	heartbeatMagic = "WHB"
	heartbeatHead  = 8
	heartbeatMAC   = sha256.Size

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
	Instance  uint64 // random, new in every life of the node
	Counter   uint64 // grows with every heartbeat of an instance
	Challenge uint64 // to be repeated by a peer that wants to be believed
	Echo      uint64 // the peer's challenge
	Path      string // the link's name; "" on a data path
	Ask       bool   // on a data path: please answer
	Program   string // version of the program
	Groups    []GroupState
	// Interfaces are the monitored ones of all groups.
	Interfaces []InterfaceState
}

// GroupState is one group as a heartbeat reports it.
type GroupState struct {
	Name        string
	Role        Role
	Epoch       uint64
	Used        uint64 // highest epoch that this node may have been active with, in any life
	Replication Replication
	Failed      uint8 // monitored interfaces that are down
	Impaired    bool  // as many as the policy says
	Fit         bool  // could serve: workers run, not all interfaces are down
	Want        Want
	Handover    bool // the peer shall take over now
	Holds       bool // has a copy of every tenant's state, or serves
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

// InterfaceState is one monitored interface as a heartbeat reports it.
type InterfaceState struct {
	Name string
	Up   bool
}

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

// AppendHeartbeat appends h, authenticated with key. Counts and lengths are
// those that Config allows.
func AppendHeartbeat(b []byte, h *Heartbeat, key secret.Value) []byte {
	start := len(b)
	b = append(b, heartbeatMagic...)
	b = append(b, Version, byte(h.Unit), h.hints(), 0, 0)
	build := cryptobyte.NewBuilder(b)
	build.AddUint64(h.Instance)
	build.AddUint64(h.Counter)
	build.AddUint64(h.Challenge)
	build.AddUint64(h.Echo)
	addString(build, h.Path)
	build.AddUint8(flag(h.Ask, 1))
	addString(build, h.Program)
	build.AddUint8(uint8(len(h.Groups)))
	for i := range h.Groups {
		h.Groups[i].add(build)
	}
	build.AddUint8(uint8(len(h.Interfaces)))
	for _, i := range h.Interfaces {
		addString(build, i.Name)
		build.AddUint8(flag(i.Up, 1))
	}
	b = build.BytesOrPanic()
	size := len(b) - start + heartbeatMAC
	b[start+6], b[start+7] = byte(size>>8), byte(size)
	mac := hmac.New(sha256.New, key.Reveal())
	mac.Write(b[start:])
	return mac.Sum(b)
}

// hints returns the byte of the head that repeats something of the body.
func (h *Heartbeat) hints() byte {
	for _, g := range h.Groups {
		if g.Role == RoleActive {
			return hintActive
		}
	}
	return 0
}

func (g *GroupState) add(b *cryptobyte.Builder) {
	addString(b, g.Name)
	b.AddUint8(uint8(g.Role))
	b.AddUint64(g.Epoch)
	b.AddUint64(g.Used)
	b.AddUint8(uint8(g.Replication))
	b.AddUint8(g.Failed)
	b.AddUint8(flag(g.Impaired, flagImpaired) | flag(g.Fit, flagFit) |
		flag(g.Handover, flagHandover) | flag(g.Holds, flagHolds))
	b.AddUint8(uint8(g.Want))
	b.AddBytes(g.Hash[:])
}

// hint is what the head of a heartbeat says before it is authenticated. It
// is good for one decision only: not to become active beside a peer that
// serves and cannot be understood.
type hint struct {
	version byte
	unit    Unit
	active  bool
}

func parseHint(b []byte) (hint, error) {
	if len(b) < heartbeatHead || len(b) > MaxHeartbeat || string(b[:3]) != heartbeatMagic ||
		int(b[6])<<8|int(b[7]) != len(b) {
		return hint{}, ErrMalformed
	}
	return hint{version: b[3], unit: Unit(b[4]), active: b[5]&hintActive != 0}, nil
}

// ParseHeartbeat authenticates and parses a heartbeat.
func ParseHeartbeat(b []byte, key secret.Value) (*Heartbeat, error) {
	hint, err := parseHint(b)
	if err != nil {
		return nil, err
	}
	if hint.version != Version {
		return nil, ErrVersion
	}
	if len(b) < heartbeatHead+heartbeatMAC {
		return nil, ErrMalformed
	}
	body, sum := b[:len(b)-heartbeatMAC], b[len(b)-heartbeatMAC:]
	mac := hmac.New(sha256.New, key.Reveal())
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), sum) {
		return nil, ErrForged
	}
	h := &Heartbeat{Unit: hint.unit}
	if h.Unit != UnitPrimary && h.Unit != UnitSecondary {
		return nil, ErrMalformed
	}
	s := cryptobyte.String(body[heartbeatHead:])
	if !h.read(&s) || !s.Empty() || h.hints() != b[5] {
		return nil, ErrMalformed
	}
	return h, nil
}

func (h *Heartbeat) read(s *cryptobyte.String) bool {
	var ask, groups, interfaces uint8
	if !s.ReadUint64(&h.Instance) || !s.ReadUint64(&h.Counter) || !s.ReadUint64(&h.Challenge) ||
		!s.ReadUint64(&h.Echo) || !readString(s, &h.Path) || !s.ReadUint8(&ask) || ask > 1 ||
		!readString(s, &h.Program) || !s.ReadUint8(&groups) || groups > MaxGroups {
		return false
	}
	h.Ask = ask == 1
	for range groups {
		var g GroupState
		if !g.read(s) {
			return false
		}
		h.Groups = append(h.Groups, g)
	}
	if !s.ReadUint8(&interfaces) || interfaces > MaxInterfaces {
		return false
	}
	for range interfaces {
		var i InterfaceState
		var up uint8
		if !readString(s, &i.Name) || !s.ReadUint8(&up) || up > 1 {
			return false
		}
		i.Up = up == 1
		h.Interfaces = append(h.Interfaces, i)
	}
	return true
}

func (g *GroupState) read(s *cryptobyte.String) bool {
	var role, replication, flags, want uint8
	if !readString(s, &g.Name) || !s.ReadUint8(&role) || !s.ReadUint64(&g.Epoch) || !s.ReadUint64(&g.Used) ||
		!s.ReadUint8(&replication) || !s.ReadUint8(&g.Failed) || !s.ReadUint8(&flags) ||
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

package failover

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// Protocol is the versions of the conversation between the nodes of a pair that
// this program speaks: what heartbeats mean and what has to be done when. A peer
// that speaks none of them is refused. A new version takes the next number, and
// is used once both speak it; the one before it is spoken for one version of the
// program longer. What is new and can be missed is a new field, and no new
// version.
var Protocol = record.Versions{Oldest: 1, Newest: 1}

// heartbeatForm is the version of the head: the body is a record, which grows
// without another one.
const heartbeatForm = 3

const (
	// MaxHeartbeat bounds a heartbeat: with its headers it fits into a frame of
	// 1,500 octets.
	MaxHeartbeat = 1400
	// MaxDatagram bounds a heartbeat of any form.
	MaxDatagram = 8192
)

// What precedes the body, and the code at the end over all of it, are the same
// in every form: it is how a node finds out, and says, that it does not
// understand its peer. Nothing is looked at before the code has been checked.
//
//	"WHB" form unit hints length(2) | record | HMAC-SHA256(32)
const (
	heartbeatMagic = "WHB"
	heartbeatHead  = 8
	heartbeatMAC   = sha256.Size
	// heartbeatFixed is what a heartbeat takes at most without its entries and
	// names: eight numbers, a digest, a flag, the protocol, the heads of three more
	// fields, the IDs of keys, and a duration.
	heartbeatFixed = heartbeatHead + 8*9 + 18 + 1 + 5 + 3*3 + MaxKeys*6 + 10 + heartbeatMAC

	hintActive = 1 << 0 // some group is active here
)

// Reasons to refuse a heartbeat.
var (
	ErrMalformed = errors.New("failover: malformed heartbeat")
	ErrVersion   = errors.New("failover: peer speaks another version of the failover protocol")
	ErrForged    = errors.New("failover: peer has another failover key")
	ErrUnit      = errors.New("failover: both nodes are configured as the same unit")
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
	Program   string // version of the program, to be shown
	Protocol  record.Versions
	// Version and Digest are those of everything that the sender has to tell;
	// Entries is a part of it.
	Version uint64
	Digest  Digest
	Entries []Entry
	// Keys are the IDs of the keys that the sender takes, the preferred one first;
	// the others are zero.
	Keys [MaxKeys]KeyID
	// Of is the instance of the peer whose version Seen is here as a whole; 0:
	// none.
	Of, Seen uint64
	// Poll is the interval of the sender's heartbeats; 0: it does not say, as programs
	// from before there was this field.
	Poll time.Duration
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
	Handover    bool           // the peer shall take over now, also from one that is active until then
	Holds       bool           // has a copy of the state of every context that is waited for, or serves
	Hash        [16]byte       // of the configuration, with the key that the node prefers
	Hash2       [16]byte       // with the other one; zero: there is none
	Unknown     record.Unknown // what a newer peer says beyond it
}

// Want is why a standby asks for the role.
type Want uint8

// The wishes.
const (
	WantNothing Want = iota
	WantOperator
	WantPreempt
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
	b = append(b, heartbeatForm, byte(h.Unit), 0, 0, 0)
	if h.Active {
		b[start+5] = hintActive
	}
	b = record.Append(b, h.fields)
	size := len(b) - start + heartbeatMAC
	b[start+6], b[start+7] = byte(size>>8), byte(size)
	return heartbeatSum(b, b[start:], key)
}

// fields are the body of the heartbeat.
func (h *Heartbeat) fields(f *record.Fields) {
	for i, v := range []*uint64{&h.Instance, &h.Counter, &h.Challenge, &h.Echo, &h.Clock, &h.Version, &h.Of, &h.Seen} {
		record.Number(f, record.Tag(1+i), v)
	}
	f.Fixed(9, h.Digest[:])
	f.Text(10, &h.Path)
	f.Flag(11, &h.Ask)
	f.Text(12, &h.Program)
	f.Record(13, h.Protocol.Fields)
	record.List(f, 14, &h.Entries, MaxHeartbeat, func(f *record.Fields, e *Entry) { e.fields(f) })
	for i := range h.Keys {
		record.Number(f, record.Tag(15+i), &h.Keys[i])
	}
	f.Duration(17, &h.Poll)
	f.Require(len(h.Path) <= MaxName && len(h.Program) <= MaxName)
}

// room is what a heartbeat with these names has left for entries.
func room(path, program string) int { return MaxHeartbeat - heartbeatFixed - len(path) - len(program) }

// heartbeatSum appends the code of all that precedes it.
func heartbeatSum(b, text []byte, key secret.Value) []byte {
	mac := hmac.New(sha256.New, key.Reveal())
	mac.Write(text)
	return mac.Sum(b)
}

// fields are the group in an Entry.
func (g *GroupState) fields(f *record.Fields) {
	f.Keep(&g.Unknown)
	record.Number(f, 1, &g.Role)
	record.Number(f, 2, &g.Epoch)
	record.Number(f, 3, &g.Used)
	record.Number(f, 4, &g.Replication)
	record.Number(f, 5, &g.Failed)
	record.Number(f, 6, &g.Broken)
	record.Number(f, 7, &g.Ready)
	record.Number(f, 8, &g.Held)
	record.Number(f, 9, &g.Want)
	f.Fixed(10, g.Hash[:])
	f.Flag(11, &g.Impaired)
	f.Flag(12, &g.Fit)
	f.Flag(13, &g.Handover)
	f.Flag(14, &g.Holds)
	f.Fixed(15, g.Hash2[:])
	f.Require(g.Role < numRoles && g.Replication <= ReplicationReady && g.Want <= WantPreempt)
}

// hint is what the head of an authentic heartbeat says that cannot be
// understood, or is not wanted. It is good for one decision only: not to become
// active beside a peer that serves.
type hint struct {
	form   byte
	unit   Unit
	active bool
}

// parseHint authenticates a heartbeat of any form.
func parseHint(b []byte, key secret.Value) (hint, error) {
	if len(b) < heartbeatHead+heartbeatMAC || len(b) > MaxDatagram || string(b[:3]) != heartbeatMagic ||
		int(b[6])<<8|int(b[7]) != len(b) {
		return hint{}, ErrMalformed
	}
	signed := len(b) - heartbeatMAC
	if !hmac.Equal(heartbeatSum(nil, b[:signed], key), b[signed:]) {
		return hint{}, ErrForged
	}
	return hint{form: b[3], unit: Unit(b[4]), active: b[5]&hintActive != 0}, nil
}

// ParseHeartbeat authenticates and parses a heartbeat.
func ParseHeartbeat(b []byte, key secret.Value) (*Heartbeat, error) {
	hint, err := parseHint(b, key)
	switch {
	case err != nil:
		return nil, err
	case hint.form != heartbeatForm:
		return nil, ErrVersion
	case len(b) > MaxHeartbeat, hint.unit != UnitPrimary && hint.unit != UnitSecondary, b[5]&^hintActive != 0:
		return nil, ErrMalformed
	}
	h := &Heartbeat{Unit: hint.unit, Active: hint.active}
	if record.Parse(b[heartbeatHead:len(b)-heartbeatMAC], h.fields) != nil {
		return nil, ErrMalformed
	}
	return h, nil
}

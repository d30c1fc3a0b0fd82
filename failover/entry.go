package failover

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/record"
)

// A node tells its peer of each of its groups and interfaces, and of the contexts of groups
// that have several, in an entry. There
// may be thousands, so that a heartbeat holds only those which the peer does not
// have yet, and the digest of all: the peer answers with the version at which its
// table had that digest, and from then on gets only what is newer.

// Digest identifies a set of entries, whatever their order.
type Digest [16]byte

// xor adds an entry to the set, or takes it out.
func (d *Digest) xor(sum Digest) {
	for i := range d {
		d[i] ^= sum[i]
	}
}

// Entry is one group or one interface, or tells that it is gone.
type Entry struct {
	Kind  EntryKind
	Gone  bool       // the node does not have it any more: the name alone counts
	Name  string     // at most MaxName bytes
	Up    bool       // of an interface
	Group GroupState // of a group
	// Tenant is one context of a group that has several.
	Tenant TenantState
	// Unknown is what a newer peer says beyond it; it counts in the Digest.
	Unknown record.Unknown
}

// EntryKind says what an Entry is about.
type EntryKind uint8

// The kinds. A peer may have others, which count in the Digest and for nothing
// else.
const (
	EntryGroup EntryKind = 1 + iota
	EntryInterface
	EntryTenant
)

// TenantState is one context as a heartbeat reports it.
type TenantState struct {
	Hash, Hash2 [16]byte // of its configuration, as those of a GroupState
}

func (t *TenantState) fields(f *record.Fields) {
	f.Fixed(1, t.Hash[:])
	f.Fixed(2, t.Hash2[:])
}

// key tells entries apart.
func (e *Entry) key() string { return string(byte(e.Kind)) + e.Name }

// encoded returns the entry as a heartbeat has it, without its length.
func (e *Entry) encoded() []byte { return record.Append(nil, e.fields) }

// entryRoom is what an entry takes in a heartbeat beside what is encoded: its
// length.
const entryRoom = 2

// digestOf returns what an entry, encoded, is to a Digest.
func digestOf(encoded []byte) Digest {
	sum := sha256.Sum256(encoded)
	return Digest(sum[:len(Digest{})])
}

func (e *Entry) fields(f *record.Fields) {
	f.Keep(&e.Unknown)
	record.Number(f, 1, &e.Kind)
	f.Text(2, &e.Name)
	f.Flag(3, &e.Gone)
	f.Flag(4, &e.Up)
	f.Record(5, e.Group.fields)
	f.Record(6, e.Tenant.fields)
	f.Require(e.Kind != 0 && e.Name != "" && len(e.Name) <= MaxName)
}

// outbox is what this node has to tell its peer.
type outbox struct {
	entries map[string]*posted
	version uint64 // grows with every change
	digest  Digest // of all that are not gone
	acked   uint64 // the version that the peer has
}

// posted is an entry on its way.
type posted struct {
	Entry
	version uint64
	sum     Digest
	size    int       // in a heartbeat
	sent    time.Time // zero: not since it changed
}

// set makes e the newest word on what it is about.
func (o *outbox) set(e Entry) {
	p := o.entries[e.key()]
	switch {
	case p == nil && e.Gone, p != nil && p.Entry == e:
		return
	case p == nil:
		p = &posted{}
		o.entries[e.key()] = p
	case !p.Gone:
		o.digest.xor(p.sum)
	}
	o.version++
	encoded := e.encoded()
	*p = posted{Entry: e, version: o.version, size: len(encoded) + entryRoom}
	if !e.Gone {
		p.sum = digestOf(encoded)
		o.digest.xor(p.sum)
	}
}

// acknowledged takes over which version the peer has; of what it knows to be
// gone nothing needs to be kept.
func (o *outbox) acknowledged(version uint64) {
	if version <= o.acked || version > o.version {
		return
	}
	o.acked = version
	for key, p := range o.entries {
		if p.Gone && p.version <= version {
			delete(o.entries, key)
		}
	}
}

// restart begins with a peer that knows nothing.
func (o *outbox) restart() {
	o.acked = 0
	o.repeat()
}

// repeat lets everything that the peer has not confirmed leave with the next
// heartbeat: what was sent while it was silent is lost.
func (o *outbox) repeat() {
	for _, p := range o.entries {
		p.sent = time.Time{}
	}
}

// pages returns what the peer misses in at most limit pages, each of at most
// room bytes: what was never sent first, the newest before the others, then what
// was sent the longest ago, if it was at least again ago. There is always one,
// perhaps empty, page.
func (o *outbox) pages(now time.Time, again time.Duration, limit, room int) [][]Entry {
	var due []*posted
	for _, p := range o.entries {
		if p.version > o.acked && (p.sent.IsZero() || now.Sub(p.sent) >= again) {
			due = append(due, p)
		}
	}
	slices.SortFunc(due, func(a, b *posted) int {
		if c := a.sent.Compare(b.sent); c != 0 {
			return c
		}
		return int(int64(b.version) - int64(a.version))
	})
	pages, left := [][]Entry{nil}, room
	for _, p := range due {
		if p.size > left {
			if len(pages) == limit {
				break
			}
			pages, left = append(pages, nil), room
		}
		left -= p.size
		p.sent = now
		last := len(pages) - 1
		pages[last] = append(pages[last], p.Entry)
	}
	return pages
}

// table is what a node has heard of the groups and interfaces of another one.
type table struct {
	groups     map[string]known
	interfaces map[string]bool
	tenants    map[string]TenantState
	sums       map[string]Digest // of all entries
	digest     Digest
	whole      bool   // at the last heartbeat the table had its digest
	version    uint64 // the newest at which it had
}

// known is what was heard of a group, and when.
type known struct {
	GroupState
	at time.Time
}

func newTable() table {
	return table{groups: map[string]known{}, interfaces: map[string]bool{}, tenants: map[string]TenantState{},
		sums: map[string]Digest{}}
}

// learn takes over the entries of a heartbeat that is newer than all before.
func (t *table) learn(now time.Time, h *Heartbeat) {
	for _, e := range h.Entries {
		if sum, ok := t.sums[e.key()]; ok {
			t.digest.xor(sum)
			delete(t.sums, e.key())
		}
		switch {
		case e.Gone && e.Kind == EntryGroup:
			delete(t.groups, e.Name)
		case e.Gone && e.Kind == EntryInterface:
			delete(t.interfaces, e.Name)
		case e.Gone && e.Kind == EntryTenant:
			delete(t.tenants, e.Name)
		case e.Gone:
		case len(t.sums) >= maxEntries:
			continue
		case e.Kind == EntryGroup:
			t.groups[e.Name] = known{e.Group, now}
		case e.Kind == EntryInterface:
			t.interfaces[e.Name] = e.Up
		case e.Kind == EntryTenant:
			t.tenants[e.Name] = e.Tenant
		}
		if !e.Gone {
			sum := digestOf(e.encoded())
			t.sums[e.key()] = sum
			t.digest.xor(sum)
		}
	}
	if t.whole = t.digest == h.Digest; t.whole {
		t.version = h.Version
	}
}

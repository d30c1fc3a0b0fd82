package esp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp/sa"
)

// PolicyTable finds the value of the policy that covers an outbound packet, by
// its destination: selectors become prefixes, and every prefix length in use is
// one look into a hash table, the longest first. Lengths above that of a root
// are known for each root, so that a peer with selectors of many lengths makes
// only look-ups in its own networks longer. Reads may run beside each other and
// beside one writer.
type PolicyTable[T any] struct {
	x        index[prefixKey, []*policy[T]]
	v4, v6   lengths                   // of the prefixes that are not longer than a root
	roots    index[prefixKey, lengths] // of those that are, by the root that they lie in
	policies map[uint64]*policy[T]
	prefixes int // of all policies together
}

// The lengths of a root: the network of a site, in each family.
const (
	rootBits4 = 16
	rootBits6 = 48
)

// Errors of PolicyTable.Add.
var (
	ErrPrefixes       = errors.New("esp: the remote selectors of a child SA consist of too many prefixes")
	ErrPolicyID       = errors.New("esp: the ID is in use")
	ErrTenantPrefixes = errors.New("esp: the remote selectors of all child SAs consist of too many prefixes")
)

// policy is one entry of the table.
type policy[T any] struct {
	local, remote []sa.Selector
	value         *T
	demoted       atomic.Bool
}

// prefixKey is a masked address with the length of its prefix.
type prefixKey struct {
	hi, lo uint64
	bits   uint8
	v6     bool
}

func (k prefixKey) hash() uint64 {
	x := uint64(k.bits)
	if k.v6 {
		x |= 1 << 8
	}
	return mix(mix(k.hi^x) ^ k.lo)
}

// root returns the root that k lies in.
func (k prefixKey) root() prefixKey {
	if k.v6 {
		return k.masked(rootBits6)
	}
	return k.masked(rootBits4)
}

// lengths counts prefixes by their length, and publishes the lengths in use,
// longest first.
type lengths struct {
	counts []lengthCount
	used   atomic.Pointer[[]uint8]
}

// lengthCount is how many prefixes have a length.
type lengthCount struct {
	bits uint8
	n    int
}

// add counts n more prefixes of a length, and reports whether none is left of
// any length.
func (l *lengths) add(bits uint8, n int) (empty bool) {
	i, found := slices.BinarySearchFunc(l.counts, bits,
		func(c lengthCount, bits uint8) int { return cmp.Compare(bits, c.bits) })
	if found {
		l.counts[i].n += n
		if l.counts[i].n != 0 {
			return false
		}
		l.counts = slices.Delete(l.counts, i, i+1)
	} else {
		l.counts = slices.Insert(l.counts, i, lengthCount{bits, n})
	}
	used := make([]uint8, len(l.counts))
	for i, c := range l.counts {
		used[i] = c.bits
	}
	l.used.Store(&used)
	return len(used) == 0
}

// Add installs v for the packets between these selectors, in front of what is
// there already for the same destinations. The selectors are not copied. It
// returns ErrPolicyID where another policy has the id, ErrPrefixes above
// sa.MaxPrefixes, ErrTenantPrefixes where the table would have more than
// sa.MaxTenantPrefixes, and then changes nothing.
func (t *PolicyTable[T]) Add(id uint64, local, remote []sa.Selector, v *T) error {
	n := sa.CountPrefixes(remote)
	switch {
	case t.policies[id] != nil:
		return ErrPolicyID
	case n > sa.MaxPrefixes:
		return ErrPrefixes
	case t.prefixes+n > sa.MaxTenantPrefixes:
		return ErrTenantPrefixes
	}
	if t.policies == nil {
		t.policies = make(map[uint64]*policy[T])
	}
	p := &policy[T]{local: local, remote: remote, value: v}
	t.policies[id] = p
	t.prefixes += n
	p.eachPrefix(func(k prefixKey) {
		var list []*policy[T]
		if old := t.x.get(k.hash(), k); old != nil {
			list = *old
		}
		next := append([]*policy[T]{p}, list...)
		t.x.set(k.hash(), k, &next)
		t.count(k, 1)
	})
	return nil
}

// Remove takes the policy with this id away.
func (t *PolicyTable[T]) Remove(id uint64) {
	p := t.policies[id]
	if p == nil {
		return
	}
	delete(t.policies, id)
	t.prefixes -= sa.CountPrefixes(p.remote)
	p.eachPrefix(func(k prefixKey) {
		var next []*policy[T]
		if old := t.x.get(k.hash(), k); old != nil {
			for _, o := range *old {
				if o != p {
					next = append(next, o)
				}
			}
		}
		if next == nil {
			t.x.set(k.hash(), k, nil)
		} else {
			t.x.set(k.hash(), k, &next)
		}
		t.count(k, -1)
	})
}

// count counts n more prefixes like k.
func (t *PolicyTable[T]) count(k prefixKey, n int) {
	root := k.root()
	switch {
	case k.bits > root.bits:
		l := t.roots.get(root.hash(), root)
		if l == nil {
			l = new(lengths)
			t.roots.set(root.hash(), root, l)
		}
		if l.add(k.bits, n) {
			t.roots.set(root.hash(), root, nil)
		}
	case k.v6:
		t.v6.add(k.bits, n)
	default:
		t.v4.add(k.bits, n)
	}
}

// Demote sets whether the policy with this id applies only to packets that no
// other policy covers, as for a child SA that has been rekeyed.
func (t *PolicyTable[T]) Demote(id uint64, on bool) {
	if p := t.policies[id]; p != nil {
		p.demoted.Store(on)
	}
}

// Find returns the value of the policy that covers the packet p; nil where
// there is none.
func (t *PolicyTable[T]) Find(p *Inner) *T {
	k := keyOf(p.Dst)
	var second *policy[T]
	long, short := t.lengthsOf(k)
	for _, l := range [2]*lengths{long, short} {
		if c := t.find(p, k, l, &second); c != nil {
			return c.value
		}
	}
	if second == nil {
		return nil
	}
	return second.value
}

// lengthsOf returns the lengths of the prefixes that may cover the address k:
// those longer than its root, or nil, and the others.
func (t *PolicyTable[T]) lengthsOf(k prefixKey) (long, short *lengths) {
	root := k.root()
	if long = t.roots.get(root.hash(), root); k.v6 {
		return long, &t.v6
	}
	return long, &t.v4
}

// find returns the policy that covers the packet p to the address k, by a prefix
// of one of these lengths. The first that is demoted becomes second, which is
// not replaced.
func (t *PolicyTable[T]) find(p *Inner, k prefixKey, l *lengths, second **policy[T]) *policy[T] {
	if l == nil {
		return nil
	}
	used := l.used.Load()
	if used == nil {
		return nil
	}
	for _, b := range *used {
		m := k.masked(b)
		list := t.x.get(m.hash(), m)
		if list == nil {
			continue
		}
		for _, c := range *list {
			if !covers(c.remote, p.Dst, p, p.DstPort) || !covers(c.local, p.Src, p, p.SrcPort) {
				continue
			}
			if !c.demoted.Load() {
				return c
			}
			if *second == nil {
				*second = c
			}
		}
	}
	return nil
}

// eachPrefix calls fn once for every prefix that the remote selectors of p
// consist of.
func (p *policy[T]) eachPrefix(fn func(prefixKey)) {
	seen := make(map[prefixKey]bool)
	for _, s := range p.remote {
		if !s.IsValid() {
			continue
		}
		s.EachPrefix(func(prefix netip.Prefix) bool {
			k := keyOf(prefix.Addr())
			k.bits = uint8(prefix.Bits())
			if !seen[k] {
				seen[k] = true
				fn(k)
			}
			return true
		})
	}
}

// keyOf returns the key of a single address.
func keyOf(a netip.Addr) prefixKey {
	if a.Is4() {
		b := a.As4()
		return prefixKey{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32, bits: 32}
	}
	b := a.As16()
	return prefixKey{hi: binary.BigEndian.Uint64(b[:]), lo: binary.BigEndian.Uint64(b[8:]), bits: 128, v6: true}
}

// masked returns the prefix of this length around k.
func (k prefixKey) masked(bits uint8) prefixKey {
	k.bits = bits
	if bits <= 64 {
		k.lo = 0
		k.hi &= ^(^uint64(0) >> bits)
	} else {
		k.lo &= ^(^uint64(0) >> (bits - 64))
	}
	return k
}

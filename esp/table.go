package esp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp/sa"
)

// index is a hash table that any number of goroutines read while one writes:
// open addressing over cells that are replaced atomically. Readers never wait.
// The zero index is empty.
type index[K comparable, V any] struct {
	cells atomic.Pointer[[]atomic.Pointer[entry[K, V]]]
	live  int // entries that count
	used  int // cells that are not nil
}

// entry never changes; a nil value marks a deleted entry, which only keeps the
// search going.
type entry[K comparable, V any] struct {
	key   K
	hash  uint64
	value *V
}

func (x *index[K, V]) get(hash uint64, key K) *V {
	p := x.cells.Load()
	if p == nil {
		return nil
	}
	cells := *p
	for i := hash; ; i++ {
		e := cells[i&uint64(len(cells)-1)].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.key == key {
			return e.value
		}
	}
}

// set stores value under key; nil deletes.
func (x *index[K, V]) set(hash uint64, key K, value *V) {
	if value == nil && x.get(hash, key) == nil {
		return
	}
	p := x.cells.Load()
	if p == nil || (x.used+1)*4 > len(*p)*3 {
		x.rebuild()
		p = x.cells.Load()
	}
	cells := *p
	for i := hash; ; i++ {
		at := &cells[i&uint64(len(cells)-1)]
		e := at.Load()
		if e != nil && (e.hash != hash || e.key != key) {
			continue
		}
		if e == nil {
			x.used++
		}
		if e == nil || e.value == nil {
			x.live++
		}
		if value == nil {
			x.live--
		}
		at.Store(&entry[K, V]{key, hash, value})
		return
	}
}

// rebuild copies the entries that count into a table where they take between a
// quarter and a half of the cells.
func (x *index[K, V]) rebuild() {
	cells := make([]atomic.Pointer[entry[K, V]], max(8, 1<<bits.Len(uint(x.live*2))))
	if p := x.cells.Load(); p != nil {
		for i := range *p {
			e := (*p)[i].Load()
			if e == nil || e.value == nil {
				continue
			}
			at := e.hash
			for cells[at&uint64(len(cells)-1)].Load() != nil {
				at++
			}
			cells[at&uint64(len(cells)-1)].Store(e)
		}
	}
	x.used = x.live
	x.cells.Store(&cells)
}

// mix spreads the bits of x (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// SPITable finds a value by the SPI of an inbound SA, in constant time. Reads
// may run beside each other and beside one writer.
type SPITable[T any] struct{ x index[sa.SPI, T] }

// Find returns the value for spi; nil where there is none.
func (t *SPITable[T]) Find(spi sa.SPI) *T { return t.x.get(mix(uint64(spi)), spi) }

// Set stores v for spi; nil takes it away.
func (t *SPITable[T]) Set(spi sa.SPI, v *T) { t.x.set(mix(uint64(spi)), spi, v) }

// Len returns the number of SPIs.
func (t *SPITable[T]) Len() int { return t.x.live }

// PolicyTable finds the child SA that an outbound packet takes, by its
// destination: selectors become prefixes, every prefix length in use is one
// look into a hash table, the longest first. Reads may run beside each other
// and beside one writer.
type PolicyTable[T any] struct {
	x        index[prefixKey, []*policy[T]]
	v4, v6   lengths
	policies map[uint64]*policy[T]
}

// policy is one child SA in the table.
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

// lengths counts the prefixes of one family by length, and publishes the
// lengths in use, longest first.
type lengths struct {
	count [129]int
	used  atomic.Pointer[[]uint8]
}

func (l *lengths) add(bits, n int) {
	before := l.count[bits]
	l.count[bits] += n
	if (before == 0) == (l.count[bits] == 0) {
		return
	}
	var used []uint8
	for b := 128; b >= 0; b-- {
		if l.count[b] > 0 {
			used = append(used, uint8(b))
		}
	}
	l.used.Store(&used)
}

// Add installs v for the packets between these selectors, in front of what is
// there already for the same destinations. The selectors are not copied. The id
// must be new.
func (t *PolicyTable[T]) Add(id uint64, local, remote []sa.Selector, v *T) {
	if t.policies == nil {
		t.policies = make(map[uint64]*policy[T])
	}
	p := &policy[T]{local: local, remote: remote, value: v}
	t.policies[id] = p
	t.eachPrefix(p, func(k prefixKey, l *lengths) {
		var list []*policy[T]
		if old := t.x.get(k.hash(), k); old != nil {
			list = *old
		}
		next := append([]*policy[T]{p}, list...)
		t.x.set(k.hash(), k, &next)
		l.add(int(k.bits), 1)
	})
}

// Remove takes the policy with this id away.
func (t *PolicyTable[T]) Remove(id uint64) {
	p := t.policies[id]
	if p == nil {
		return
	}
	delete(t.policies, id)
	t.eachPrefix(p, func(k prefixKey, l *lengths) {
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
		l.add(int(k.bits), -1)
	})
}

// Demote says whether the policy with this id is only for packets that no other
// covers: what happens to a child SA that has been rekeyed.
func (t *PolicyTable[T]) Demote(id uint64, on bool) {
	if p := t.policies[id]; p != nil {
		p.demoted.Store(on)
	}
}

// Find returns the value for the packet p; nil where no child SA covers it.
func (t *PolicyTable[T]) Find(p *Inner) *T {
	k := keyOf(p.Dst)
	used := t.v4.used.Load()
	if k.v6 {
		used = t.v6.used.Load()
	}
	if used == nil {
		return nil
	}
	var second *policy[T]
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
				return c.value
			}
			if second == nil {
				second = c
			}
		}
	}
	if second == nil {
		return nil
	}
	return second.value
}

// eachPrefix calls fn once for every prefix that the remote selectors of p
// consist of.
func (t *PolicyTable[T]) eachPrefix(p *policy[T], fn func(prefixKey, *lengths)) {
	seen := make(map[prefixKey]bool)
	for _, s := range p.remote {
		if !s.IsValid() {
			continue
		}
		l := &t.v4
		if s.Start.BitLen() == 128 {
			l = &t.v6
		}
		splitRange(keyOf(s.Start), keyOf(s.End), func(k prefixKey) {
			if !seen[k] {
				seen[k] = true
				fn(k, l)
			}
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

// last returns the highest address in the prefix k, as the key of an address.
func (k prefixKey) last() prefixKey {
	width := uint8(32)
	if k.v6 {
		width = 128
	}
	if k.bits <= 64 {
		host := ^uint64(0) >> k.bits
		if !k.v6 {
			host &= 0xffffffff << 32
		}
		k.hi |= host
		if k.v6 {
			k.lo = ^uint64(0)
		}
	} else {
		k.lo |= ^uint64(0) >> (k.bits - 64)
	}
	k.bits = width
	return k
}

// less compares the addresses of two keys.
func (k prefixKey) less(o prefixKey) bool {
	return k.hi < o.hi || k.hi == o.hi && k.lo < o.lo
}

// next returns the address after k; it is only called where there is one.
func (k prefixKey) next() prefixKey {
	if !k.v6 {
		k.hi += 1 << 32
		return k
	}
	var carry uint64
	k.lo, carry = bits.Add64(k.lo, 1, 0)
	k.hi += carry
	return k
}

// splitRange calls fn for the fewest prefixes that together are the addresses
// from start to end.
func splitRange(start, end prefixKey, fn func(prefixKey)) {
	for {
		best := start
		for b := int(start.bits) - 1; b >= 0; b-- {
			k := start.masked(uint8(b))
			if k.hi != start.hi || k.lo != start.lo || end.less(k.last()) {
				break
			}
			best = k
		}
		fn(best)
		last := best.last()
		if !last.less(end) {
			return
		}
		start = last.next()
	}
}

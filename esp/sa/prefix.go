package sa

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const (
	// MaxPrefixes bounds the prefixes that the remote selectors of one child SA
	// consist of. A range is at most 254 of IPv6 and 62 of IPv4, so one odd range is
	// fine, and 64 networks are. What needs more is refused with TS_UNACCEPTABLE.
	MaxPrefixes = 256
	// MaxTenantPrefixes bounds those of all child SAs of a tenant: some 40 MB.
	MaxTenantPrefixes = 1 << 18
)

// CountPrefixes returns how many prefixes the addresses of list consist of; a
// range that occurs several times, with other ports or protocols, counts once.
// It stops counting above MaxPrefixes, so that its work is bounded. Selectors
// that are not valid count nothing.
func CountPrefixes(list []Selector) (n int) {
	for i, s := range list {
		if !s.IsValid() || sameRange(list[:i], s) {
			continue
		}
		s.EachPrefix(func(netip.Prefix) bool { n++; return n <= MaxPrefixes })
		if n > MaxPrefixes {
			return n
		}
	}
	return n
}

// sameRange reports whether one of list has the addresses of s.
func sameRange(list []Selector, s Selector) bool {
	for _, l := range list {
		if l.Start == s.Start && l.End == s.End {
			return true
		}
	}
	return false
}

// EachPrefix calls fn with the fewest prefixes that together are the addresses
// from s.Start to s.End, in order, until fn returns false. s must be valid.
func (s Selector) EachPrefix(fn func(netip.Prefix) bool) {
	width := s.Start.BitLen()
	at, end := numberOf(s.Start), numberOf(s.End)
	for {
		// The largest block that begins here and does not go beyond the end.
		host := min(at.trailingZeros(), width, end.minus(at).plusOneLog2())
		if !fn(netip.PrefixFrom(at.addr(width), width-host)) {
			return
		}
		last := at.or(ones(host))
		if last == end {
			return
		}
		at = last.plusOne()
	}
}

// number is an address as a number.
type number struct{ hi, lo uint64 }

func numberOf(a netip.Addr) number {
	if a.Is4() {
		b := a.As4()
		return number{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return number{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

// addr returns the address of this many bits.
func (n number) addr(width int) netip.Addr {
	if width == 32 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(n.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	return netip.AddrFrom16(b)
}

func (n number) trailingZeros() int {
	if n.lo == 0 {
		return 64 + bits.TrailingZeros64(n.hi)
	}
	return bits.TrailingZeros64(n.lo)
}

func (n number) minus(o number) number {
	lo, borrow := bits.Sub64(n.lo, o.lo, 0)
	hi, _ := bits.Sub64(n.hi, o.hi, borrow)
	return number{hi, lo}
}

func (n number) plusOne() number {
	lo, carry := bits.Add64(n.lo, 1, 0)
	return number{n.hi + carry, lo}
}

// plusOneLog2 returns the logarithm of n+1, rounded down.
func (n number) plusOneLog2() int {
	n1 := n.plusOne()
	switch {
	case n1 == number{}:
		return 128
	case n1.hi == 0:
		return bits.Len64(n1.lo) - 1
	}
	return 63 + bits.Len64(n1.hi)
}

func (n number) or(o number) number { return number{n.hi | o.hi, n.lo | o.lo} }

// ones returns the number whose lowest n bits are set.
func ones(n int) number {
	if n >= 64 {
		return number{^uint64(0) >> (128 - n), ^uint64(0)}
	}
	return number{0, 1<<n - 1}
}

package control

import "net/netip"

// maxCover is how many prefixes it takes at most to cover a range of IPv6
// addresses.
const maxCover = 254

// Cover returns the fewest prefixes that together are the addresses from first to
// last; nothing where these are not in order or not of one family.
func Cover(first, last netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for first.IsValid() && first.BitLen() == last.BitLen() && !last.Less(first) && len(list) < maxCover {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || last.Less(Last(wider)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		list = append(list, p)
		first = Last(p).Next()
	}
	return list
}

// Last returns the highest address of a prefix.
func Last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

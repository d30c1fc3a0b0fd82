package plane

import (
	"encoding/binary"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/tun"
)

// putFragment writes fragment i of the packet p in src to dst and returns its
// length (RFC 791 section 3.2). Fragments hold size bytes; a packet that is no
// larger than that is copied.
func putFragment(dst, src []byte, p *esp.Inner, size, i int) int {
	if size >= p.Len {
		return copy(dst, src[:p.Len])
	}
	header := int(src[0]&0xf) * 4
	from := header + i*size
	to := min(from+size, p.Len)
	length := header
	copy(dst, src[:header])
	if i > 0 {
		length = ipv4Len + copiedOptions(dst[ipv4Len:], src[ipv4Len:header])
		dst[0] = 0x40 | byte(length/4)
	}
	was := binary.BigEndian.Uint16(src[6:])
	flags := was&0xc000 | (was&0x1fff + uint16(i*size/8)) | was&0x2000
	if to < p.Len {
		flags |= 0x2000
	}
	n := length + copy(dst[length:], src[from:to])
	binary.BigEndian.PutUint16(dst[2:], uint16(n))
	binary.BigEndian.PutUint16(dst[6:], flags)
	dst[10], dst[11] = 0, 0
	binary.BigEndian.PutUint16(dst[10:], tun.HeaderChecksum(dst[:length]))
	return n
}

// copiedOptions writes the IPv4 options that every fragment has, padded to
// words, and returns their length.
func copiedOptions(dst, src []byte) int {
	n := 0
	for i := 0; i < len(src) && src[i] != optionEnd; {
		length := 1
		if src[i] != optionNop {
			if i+1 >= len(src) || src[i+1] < 2 || i+int(src[i+1]) > len(src) {
				break
			}
			length = int(src[i+1])
		}
		if src[i]&0x80 != 0 {
			n += copy(dst[n:], src[i:i+length])
		}
		i += length
	}
	for n%4 != 0 {
		dst[n] = optionEnd
		n++
	}
	return n
}

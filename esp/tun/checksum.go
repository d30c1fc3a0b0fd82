package tun

import (
	"encoding/binary"
	"math/bits"
)

// sum adds b to the unfolded one's complement sum s (RFC 1071), eight bytes at
// a time in the byte order of the machine's cheap loads: the sum is the same in
// every byte order, but for a final swap. What is added must begin at an even
// offset of what the checksum covers.
func sum(b []byte, s uint64) uint64 {
	var c uint64
	if wide && len(b) >= 128 {
		n := len(b) &^ 63
		s, c = bits.Add64(s, sumWide(&b[0], n), 0)
		s += c
		b = b[n:]
	}
	for len(b) >= 64 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[16:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[24:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[32:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[40:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[48:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[56:]), c)
		s, c = bits.Add64(s, 0, c)
		s += c
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s, c = bits.Add64(s, 0, c)
		s += c
		b = b[8:]
	}
	var last uint64
	if len(b) >= 4 {
		last, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
	}
	if len(b) >= 2 {
		last, b = last+uint64(binary.LittleEndian.Uint16(b)), b[2:]
	}
	if len(b) > 0 {
		last += uint64(b[0])
	}
	s, c = bits.Add64(s, last, 0)
	s += c
	return s
}

// fold returns the 16-bit sum in network byte order.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return bits.ReverseBytes16(uint16(s))
}

// add adds a 16-bit number in network byte order to an unfolded sum.
func add(s uint64, v uint16) uint64 {
	s, c := bits.Add64(s, uint64(bits.ReverseBytes16(v)), 0)
	return s + c
}

// pseudo returns the sum of the pseudo-header for the IP packet b, without the
// length of the transport part.
func pseudo(b []byte, protocol uint8) uint64 {
	if b[0]>>4 == 4 {
		return add(sum(b[12:20], 0), uint16(protocol))
	}
	return add(sum(b[8:40], 0), uint16(protocol))
}

// Checksum returns the Internet checksum of the transport part of the packet b,
// which begins at transport, as it must be stored; it is 0 over a packet whose
// checksum is right.
func Checksum(b []byte, transport int, protocol uint8) uint16 {
	return ^fold(add(sum(b[transport:], pseudo(b, protocol)), uint16(len(b)-transport)))
}

// HeaderChecksum returns the checksum of the IPv4 header b.
func HeaderChecksum(b []byte) uint16 { return ^fold(sum(b, 0)) }

package tun

import (
	"encoding/binary"
	"errors"
)

// HeaderLen is the length of the virtio_net_hdr in front of every packet.
const HeaderLen = 10

// Fields of the virtio_net_hdr (include/uapi/linux/virtio_net.h).
const (
	flagNeedsChecksum = 1

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDP   = 5
	gsoECN   = 0x80
)

const (
	protoTCP = 6
	protoUDP = 17

	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpPSH = 0x08
	tcpACK = 0x10
	tcpURG = 0x20
	tcpECE = 0x40
	tcpCWR = 0x80
)

// ErrMalformed is returned for what a TUN device should not have given.
var ErrMalformed = errors.New("tun: malformed packet from the device")

// Super is a packet as the device gave it: one packet, or a super-packet that
// stands for several of one TCP or UDP flow. Its checksum may be missing.
type Super struct {
	data      []byte
	transport int // where the transport header begins
	header    int // what every segment repeats: IP and transport header
	size      int // payload bytes of a segment
	count     int
	checksum  int // where the checksum stands; 0: it is complete
	protocol  uint8
	gso       bool
	pseudo    uint64
}

// ParseSuper reads what Device.Read returned. The Super refers to b.
func ParseSuper(b []byte, s *Super) error {
	if len(b) < HeaderLen+1 {
		return ErrMalformed
	}
	flags, gso := b[0], b[1]&^gsoECN
	size := int(binary.NativeEndian.Uint16(b[4:]))
	start := int(binary.NativeEndian.Uint16(b[6:]))
	at := start + int(binary.NativeEndian.Uint16(b[8:]))
	data := b[HeaderLen:]
	v6 := data[0]>>4 == 6
	if !v6 && data[0]>>4 != 4 || len(data) < 20 || v6 && len(data) < 40 {
		return ErrMalformed
	}
	*s = Super{data: data, header: len(data), count: 1}
	if flags&flagNeedsChecksum != 0 {
		if at+2 > len(data) || start < 20 {
			return ErrMalformed
		}
		s.transport, s.checksum = start, at
	}
	if gso == gsoNone {
		return nil
	}
	switch {
	case gso == gsoTCPv4 && !v6, gso == gsoTCPv6 && v6:
		if start+20 > len(data) {
			return ErrMalformed
		}
		length := int(data[start+12]>>4) * 4
		s.protocol, s.header, s.checksum = protoTCP, start+length, start+16
		if length < 20 {
			return ErrMalformed
		}
	case gso == gsoUDP:
		s.protocol, s.header, s.checksum = protoUDP, start+8, start+6
	default:
		return ErrMalformed
	}
	if size == 0 || s.header > len(data) || start < 20 || v6 && start < 40 || len(data) > MaxPacket {
		return ErrMalformed
	}
	s.gso, s.transport = true, start
	s.pseudo = pseudo(data, s.protocol)
	s.resize(size)
	return nil
}

// Bytes returns the packet or super-packet itself, whose headers are those of
// the first segment but for lengths and checksums.
func (s *Super) Bytes() []byte { return s.data }

// Count returns the number of segments.
func (s *Super) Count() int { return s.count }

// Size returns the length of the largest segment, headers included.
func (s *Super) Size() int { return min(s.header+s.size, len(s.data)) }

// Len returns the length of segment i.
func (s *Super) Len(i int) int {
	return s.header + max(0, min(s.size, len(s.data)-s.header-i*s.size))
}

// Total returns the length of all segments together.
func (s *Super) Total() int { return len(s.data) + (s.count-1)*s.header }

// Shrink makes segments of at most n bytes where that is possible: TCP data is
// a stream, and may be cut anywhere. It reports false where it cannot.
func (s *Super) Shrink(n int) bool {
	if s.Size() <= n {
		return true
	}
	if !s.gso || s.protocol != protoTCP || n <= s.header {
		return false
	}
	s.resize(n - s.header)
	return true
}

func (s *Super) resize(size int) {
	s.size = size
	s.count = max(1, (len(s.data)-s.header+size-1)/size)
}

// Put writes segment i as a complete packet to the start of dst, which has room
// for Len(i) bytes, and returns its length.
func (s *Super) Put(dst []byte, i int) int {
	if !s.gso {
		n := copy(dst, s.data)
		if s.checksum != 0 {
			// The device left the sum of the pseudo-header in the field, so
			// summing over it completes it.
			c := ^fold(sum(dst[s.transport:n], 0))
			if c == 0 {
				c = 0xffff // the same number, and in UDP 0 would mean none
			}
			binary.BigEndian.PutUint16(dst[s.checksum:], c)
		}
		return n
	}
	n := s.Len(i)
	dst = dst[:n]
	copy(dst, s.data[:s.header])
	copy(dst[s.header:], s.data[s.header+i*s.size:])
	if dst[0]>>4 == 4 {
		binary.BigEndian.PutUint16(dst[2:], uint16(n))
		binary.BigEndian.PutUint16(dst[4:], binary.BigEndian.Uint16(dst[4:])+uint16(i))
		dst[10], dst[11] = 0, 0
		header := min(int(dst[0]&0xf)*4, s.transport)
		binary.BigEndian.PutUint16(dst[10:], HeaderChecksum(dst[:header]))
	} else {
		binary.BigEndian.PutUint16(dst[4:], uint16(n-40))
	}
	t := dst[s.transport:]
	if s.protocol == protoTCP {
		binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(i*s.size))
		if i > 0 { // RFC 3168 section 6.1.2: once a window
			t[13] &^= tcpCWR
		}
		if i < s.count-1 {
			t[13] &^= tcpFIN | tcpPSH
		}
	} else {
		binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
	}
	dst[s.checksum], dst[s.checksum+1] = 0, 0
	c := ^fold(add(sum(t, s.pseudo), uint16(len(t))))
	if c == 0 && s.protocol == protoUDP {
		c = 0xffff // RFC 768: 0 would mean that there is none
	}
	binary.BigEndian.PutUint16(dst[s.checksum:], c)
	return n
}

// Partial reports whether the checksum in Bytes is not complete yet, so that
// Put will set it.
func (s *Super) Partial() bool { return s.checksum != 0 }

// NoOffload returns the virtio_net_hdr of a packet that is complete.
func NoOffload() []byte { return noOffload[:] }

// Package esptest has what tests of the data plane need: a TUN device and outer
// sockets in memory, a wire between them that can be made bad, and builders for
// inner packets. It does no I/O.
package esptest

import (
	"encoding/binary"
	"net/netip"

	"github.com/warrenvpn/warren/esp/tun"
)

// Flow is the two ends of what a builder makes packets for. Both are of one
// family.
type Flow struct{ Src, Dst netip.AddrPort }

// NewFlow parses two "address:port".
func NewFlow(src, dst string) Flow {
	return Flow{netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)}
}

// IP builds an IP packet of this protocol; DF is set and TTL is 64.
func (f Flow) IP(protocol uint8, payload []byte) []byte {
	if f.Src.Addr().Is6() {
		b := make([]byte, 40, 40+len(payload))
		b[0], b[6], b[7] = 0x60, protocol, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		copy(b[8:], f.Src.Addr().AsSlice())
		copy(b[24:], f.Dst.Addr().AsSlice())
		return append(b, payload...)
	}
	b := make([]byte, 20, 20+len(payload))
	b[0], b[6], b[8], b[9] = 0x45, 0x40, 64, protocol
	copy(b[12:], f.Src.Addr().AsSlice())
	copy(b[16:], f.Dst.Addr().AsSlice())
	b = append(b, payload...)
	FixIPv4(b)
	return b
}

// FixIPv4 sets length and checksum of the IPv4 header of b.
func FixIPv4(b []byte) {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], tun.HeaderChecksum(b[:int(b[0]&0xf)*4]))
}

// UDP builds a UDP packet.
func (f Flow) UDP(payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, f.Src.Port())
	binary.BigEndian.PutUint16(b[2:], f.Dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	return f.sum(f.IP(17, append(b, payload...)), 17, 6)
}

// TCP builds a TCP segment. Options are padded by the caller.
func (f Flow) TCP(seq uint32, flags uint8, options, payload []byte) []byte {
	b := make([]byte, 20, 20+len(options)+len(payload))
	binary.BigEndian.PutUint16(b, f.Src.Port())
	binary.BigEndian.PutUint16(b[2:], f.Dst.Port())
	binary.BigEndian.PutUint32(b[4:], seq)
	b[12], b[13] = byte(20+len(options))/4<<4, flags
	binary.BigEndian.PutUint16(b[14:], 0xffff)
	return f.sum(f.IP(6, append(append(b, options...), payload...)), 6, 16)
}

func (f Flow) sum(b []byte, protocol uint8, at int) []byte {
	t := 20
	if b[0]>>4 == 6 {
		t = 40
	}
	binary.BigEndian.PutUint16(b[t+at:], tun.Checksum(b, t, protocol))
	return b
}

// Plain puts the header of a complete packet in front of b, as a device does.
func Plain(b []byte) []byte { return append(make([]byte, tun.HeaderLen), b...) }

// Super makes a super-packet, as a device reads it, out of a packet of Flow.TCP
// or Flow.UDP: its payload goes out in segments of size bytes.
func Super(b []byte, size int) []byte {
	protocol, transport := b[9], 20
	kind := byte(1)
	if b[0]>>4 == 6 {
		protocol, transport, kind = b[6], 40, 4
	}
	header, at := transport+8, 6
	if protocol == 6 {
		header, at = transport+int(b[transport+12]>>4)*4, 16
	} else {
		kind = 5
	}
	out := Plain(b)
	out[0], out[1] = 1, kind
	binary.NativeEndian.PutUint16(out[2:], uint16(header))
	binary.NativeEndian.PutUint16(out[4:], uint16(size))
	binary.NativeEndian.PutUint16(out[6:], uint16(transport))
	binary.NativeEndian.PutUint16(out[8:], uint16(at))
	// A device leaves the checksum to the reader; nothing may rely on it.
	out[tun.HeaderLen+transport+at], out[tun.HeaderLen+transport+at+1] = 0xde, 0xad
	return out
}

// Split cuts what was written to a device into packets, as the kernel would.
func Split(written []byte) ([][]byte, error) {
	var s tun.Super
	if err := tun.ParseSuper(written, &s); err != nil {
		return nil, err
	}
	var out [][]byte
	for i := range s.Count() {
		b := make([]byte, s.Len(i))
		out = append(out, b[:s.Put(b, i)])
	}
	return out, nil
}

package plane

import (
	"encoding/binary"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

const (
	ipv4Len    = 20
	ipv6Len    = 40
	tcpLen     = 20
	icmpLen    = 8
	tcpSYN     = 0x02
	optionEnd  = 0
	optionNop  = 1
	optionMSS  = 2
	quoteLimit = 548 // RFC 1812 section 4.3.2.3: 576 bytes in all
)

// clampMSS lowers the maximum segment size that a TCP SYN announces to what the
// path carries. Where fix is set the packet has a checksum, which is kept right.
func clampMSS(b []byte, p *esp.Inner, to *path, fix bool) {
	t := p.Transport
	if !p.HasPorts || len(b) < t+tcpLen || b[t+13]&tcpSYN == 0 {
		return
	}
	limit := to.inner4 - ipv4Len - tcpLen
	if p.V6 {
		limit = to.inner6 - ipv6Len - tcpLen
	}
	end := min(t+int(b[t+12]>>4)*4, len(b))
	for i := t + tcpLen; i < end; {
		switch b[i] {
		case optionEnd:
			return
		case optionNop:
			i++
			continue
		}
		if i+2 > end || b[i+1] < 2 || i+int(b[i+1]) > end {
			return
		}
		if b[i] == optionMSS && b[i+1] == 4 && int(binary.BigEndian.Uint16(b[i+2:])) > limit {
			binary.BigEndian.PutUint16(b[i+2:], uint16(limit))
			if fix {
				b[t+16], b[t+17] = 0, 0
				binary.BigEndian.PutUint16(b[t+16:], tun.Checksum(b, t, esp.ProtoTCP))
			}
		}
		i += int(b[i+1])
	}
}

// tooBig deals with a packet that the path does not carry: IPv4 without DF is
// fragmented before it is sealed, the sender of any other is told (RFC 4301
// section 8.2).
func (o *outbound) tooBig(c *child, to *path, limit int) {
	s := &o.super
	for i := range s.Count() {
		if s.Len(i) <= limit { // the short last segment of a super-packet
			n := s.Put(o.scratch, i)
			o.fragments(c, to, n, limit)
			continue
		}
		if o.inner.V6 || o.inner.DF {
			o.stats.count(stats.DropTooBig, 1, s.Len(i))
			o.tell(limit)
			continue
		}
		n := s.Put(o.scratch, i)
		o.stats.add(stats.Fragmented, 1)
		o.fragments(c, to, n, limit)
	}
}

// fragments seals the packet of n bytes in scratch in as many pieces as it
// takes.
func (o *outbound) fragments(c *child, to *path, n, limit int) {
	o.inner.Len = n
	if n <= limit {
		o.seal(c, to, 1, n, n)
		return
	}
	header := int(o.scratch[0]&0xf) * 4
	size := (limit - header) &^ 7
	if size <= 0 {
		o.stats.count(stats.DropTooBig, 1, n)
		return
	}
	o.seal(c, to, (n-header+size-1)/size, limit, size)
}

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

// tell writes an ICMP message into the TUN that says how large packets may be
// (RFC 792 with RFC 1191, RFC 4443 section 3.2). It comes from the address that
// the packet was for, which is routed into the tunnel, as reverse path filters
// want to see.
func (o *outbound) tell(limit int) {
	src := o.super.Bytes()
	if !mayTell(src, &o.inner) || !o.icmp.allow(o.now) {
		return
	}
	var b []byte
	if o.inner.V6 {
		b = tellIPv6(o.scratch, src, limit)
	} else {
		b = tellIPv4(o.scratch, src, limit)
	}
	o.pieces[0], o.pieces[1] = tun.NoOffload(), b
	if o.dev.Write(o.pieces[:]) == nil {
		o.stats.add(stats.TooBigSent, 1)
	}
}

// mayTell reports whether an ICMP error about p may be sent at all (RFC 1122
// section 3.2.2, RFC 4443 section 2.4).
func mayTell(b []byte, p *esp.Inner) bool {
	if p.Dst.IsMulticast() && !p.V6 || p.Src.IsUnspecified() || p.Src.IsMulticast() || p.Fragment && !p.HasPorts {
		return false
	}
	if len(b) <= p.Transport {
		return false
	}
	switch kind := b[p.Transport]; p.Protocol {
	case esp.ProtoICMP:
		return kind == 0 || kind == 8 || kind >= 13 // replies and requests
	case esp.ProtoICMPv6:
		return kind >= 128
	}
	return true
}

func tellIPv4(b, src []byte, limit int) []byte {
	n := ipv4Len + icmpLen + copy(b[ipv4Len+icmpLen:], src[:min(len(src), quoteLimit)])
	b = b[:n]
	clear(b[:ipv4Len+icmpLen])
	b[0], b[8], b[9] = 0x45, 64, esp.ProtoICMP
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	copy(b[12:], src[16:20])
	copy(b[16:], src[12:16])
	binary.BigEndian.PutUint16(b[10:], tun.HeaderChecksum(b[:ipv4Len]))
	b[ipv4Len], b[ipv4Len+1] = 3, 4
	binary.BigEndian.PutUint16(b[ipv4Len+6:], uint16(limit))
	binary.BigEndian.PutUint16(b[ipv4Len+2:], tun.HeaderChecksum(b[ipv4Len:]))
	return b
}

func tellIPv6(b, src []byte, limit int) []byte {
	n := ipv6Len + icmpLen + copy(b[ipv6Len+icmpLen:], src[:min(len(src), minMTU6-ipv6Len-icmpLen)])
	b = b[:n]
	clear(b[:ipv6Len+icmpLen])
	b[0], b[6], b[7] = 0x60, esp.ProtoICMPv6, 64
	binary.BigEndian.PutUint16(b[4:], uint16(n-ipv6Len))
	copy(b[8:], src[24:40])
	copy(b[24:], src[8:24])
	b[ipv6Len] = 2
	binary.BigEndian.PutUint32(b[ipv6Len+4:], uint32(limit))
	binary.BigEndian.PutUint16(b[ipv6Len+2:], tun.Checksum(b, ipv6Len, esp.ProtoICMPv6))
	return b
}

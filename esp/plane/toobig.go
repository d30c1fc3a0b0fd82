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
	icmpLen    = 8
	quoteLimit = 548 // RFC 1812 section 4.3.2.3: 576 bytes in all
)

// tooBig handles a packet larger than limit, which is the most that its carrier
// takes: IPv4 without DF is fragmented, for any other packet its sender gets an
// ICMP error (RFC 4301 section 8.2).
func (q *queue) tooBig(l *Link, limit int) {
	b := &q.burst
	s := &b.super
	for i := range s.Count() {
		if s.Len(i) <= limit { // the short last segment of a super-packet
			q.fragments(l, s.Put(b.scratch, i), limit)
			continue
		}
		if b.inner.V6 || b.inner.DF {
			q.stats.count(stats.DropTooBig, 1, s.Len(i))
			q.answerTooBig(limit)
			continue
		}
		n := s.Put(b.scratch, i)
		q.stats.add(stats.Fragmented, 1)
		q.fragments(l, n, limit)
	}
}

// fragments sends the packet of n bytes in scratch in as many pieces as it takes.
func (q *queue) fragments(l *Link, n, limit int) {
	b := &q.burst
	b.inner.Len = n
	count, largest, size := 1, n, n
	if n > limit {
		header := int(b.scratch[0]&0xf) * 4
		size = (limit - header) &^ 7
		if size <= 0 {
			q.stats.count(stats.DropTooBig, 1, n)
			return
		}
		count, largest = (n-header+size-1)/size, limit
	}
	if !q.send(l, count, largest, size) {
		b.Drop(stats.DropPolicy, 0)
	}
}

// answerTooBig writes an ICMP message into the TUN that says how large packets may be
// (RFC 792 with RFC 1191, RFC 4443 section 3.2). It comes from the address that
// the packet was for, which is routed into the tunnel, as reverse path filters
// want to see.
func (q *queue) answerTooBig(limit int) {
	src := q.burst.super.Bytes()
	if !mayAnswer(src, &q.burst.inner) || !q.icmp.allow(q.burst.now) {
		return
	}
	var b []byte
	if q.burst.inner.V6 {
		b = putTooBigIPv6(q.burst.scratch, src, limit)
	} else {
		b = putTooBigIPv4(q.burst.scratch, src, limit)
	}
	q.pieces[0], q.pieces[1] = tun.NoOffload(), b
	if q.dev.Write(q.pieces[:]) == nil {
		q.stats.add(stats.TooBigSent, 1)
	}
}

// mayAnswer reports whether an ICMP error about p may be sent at all (RFC 1122
// section 3.2.2, RFC 4443 section 2.4).
func mayAnswer(b []byte, p *esp.Inner) bool {
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

func putTooBigIPv4(b, src []byte, limit int) []byte {
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

func putTooBigIPv6(b, src []byte, limit int) []byte {
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

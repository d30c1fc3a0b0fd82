package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"
)

const (
	// maxParts bounds the packets in one super-packet. The kernel's own limit
	// for UDP was 64 before it became 128.
	maxParts = 64
	// maxItems bounds what waits for Flush.
	maxItems = 128
	buckets  = 128
	// maxHeader is the longest header that is joined: IPv6 and TCP with options.
	maxHeader = 40 + 60
)

// Coalescer joins packets into super-packets and writes them to a device: what
// the kernel calls GRO. It copies nothing: a super-packet is gathered from the
// buffers that its packets lie in, which must not change before Flush. Packets
// of one flow leave in the order in which they came. It is not safe for
// concurrent use.
type Coalescer struct {
	dev      Device
	tcp, udp bool
	items    []item
	n        int
	bucket   [buckets]uint8 // index of the newest item of a flow, plus one
	pieces   [][]byte
	header   [HeaderLen]byte

	// What was written since ResetStats: packets and their bytes, those that the
	// device refused, and the super-packets among them.
	Packets, Bytes, Failed, FailedBytes, Supers int
}

// item is one packet, or several that will leave as one super-packet.
type item struct {
	parts     [][]byte // whole packets
	transport int
	header    int // IP and transport header; 0: cannot be joined
	size      int // payload bytes of the first packet
	total     int
	next      uint32 // the TCP sequence number that would follow
	protocol  uint8
	verified  bool // the checksum of the first packet is right
	closed    bool // nothing may follow
}

// NewCoalescer returns a Coalescer that writes to dev.
func NewCoalescer(dev Device) *Coalescer {
	c := &Coalescer{dev: dev}
	c.Refresh()
	return c
}

// ResetStats begins the stats anew.
func (c *Coalescer) ResetStats() {
	c.Packets, c.Bytes, c.Failed, c.FailedBytes, c.Supers = 0, 0, 0, 0, 0
}

// Refresh asks the device again which super-packets may be written.
func (c *Coalescer) Refresh() { c.tcp, c.udp = c.dev.TCPOffload(), c.dev.UDPOffload() }

// Add takes a whole IP packet, whose length is that of its header. It may call
// Flush.
func (c *Coalescer) Add(p []byte) {
	var it item
	if !c.candidate(p, &it) {
		c.endFlow(p, &it)
		c.push(p, &it)
		return
	}
	b := &c.bucket[flowHash(p, &it)%buckets]
	if *b != 0 {
		if c.join(&c.items[*b-1], &it, p) {
			return
		}
	}
	c.push(p, &it)
	*b = uint8(c.n)
}

// endFlow is called for a packet p that cannot be joined. It keeps later packets of
// its flow from being joined with those before p: they would overtake it.
func (c *Coalescer) endFlow(p []byte, it *item) {
	switch {
	case len(p) < 28:
	case it.transport > 0 && (it.protocol == protoTCP || it.protocol == protoUDP):
		c.bucket[flowHash(p, it)%buckets] = 0
	case p[0]>>4 == 4 && (p[9] == protoTCP || p[9] == protoUDP), p[0]>>4 == 6 && isExtension(p[6]):
		clear(c.bucket[:]) // a fragment or one with options: of which flow, is not known
	}
}

// isExtension reports whether TCP or UDP may follow an IPv6 header with this
// next header, behind another header.
func isExtension(next uint8) bool { return next == 0 || next == 43 || next == 44 || next == 60 }

// push appends a new item.
func (c *Coalescer) push(p []byte, it *item) {
	if c.n == maxItems {
		c.Flush()
	}
	if c.n == len(c.items) {
		c.items = append(c.items, item{})
	}
	at := &c.items[c.n]
	parts := at.parts[:0]
	*at = *it
	at.parts = append(parts, p)
	c.n++
}

// candidate reports whether the packet p may be joined with others, and describes
// it in it.
func (c *Coalescer) candidate(p []byte, it *item) bool {
	if len(p) < 28 || len(p) > MaxPacket {
		return false
	}
	if p[0] == 0x45 { // no options
		if binary.BigEndian.Uint16(p[6:])&0x3fff != 0 || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
			return false
		}
		it.protocol, it.transport = p[9], 20
	} else if p[0]>>4 == 6 && len(p) >= 48 && int(binary.BigEndian.Uint16(p[4:])) == len(p)-40 {
		it.protocol, it.transport = p[6], 40
	} else {
		return false
	}
	t := p[it.transport:]
	var header int
	switch {
	case it.protocol == protoTCP && c.tcp:
		if len(t) < 20 || t[13]&^(tcpACK|tcpPSH) != 0 || t[13]&tcpACK == 0 {
			return false
		}
		header = int(t[12]>>4) * 4
		if header < 20 {
			return false
		}
		it.closed = t[13]&tcpPSH != 0
	case it.protocol == protoUDP && c.udp:
		header = 8
		if int(binary.BigEndian.Uint16(t[4:])) != len(t) || t[6]|t[7] == 0 {
			return false
		}
	default:
		return false
	}
	if len(t) <= header {
		return false
	}
	it.header, it.size, it.total = it.transport+header, len(t)-header, len(p)
	if it.protocol == protoTCP {
		it.next = binary.BigEndian.Uint32(t[4:]) + uint32(it.size)
	}
	return true
}

// join appends the packet p, which new describes, to at.
func (c *Coalescer) join(at, new *item, p []byte) bool {
	first := at.parts[0]
	if at.closed || at.protocol != new.protocol || at.header != new.header || at.transport != new.transport ||
		new.size > at.size || at.total+new.size > MaxPacket || len(at.parts) == maxParts ||
		!sameFlow(first, p, at.transport) {
		return false
	}
	if first[0] == 0x45 {
		id := binary.BigEndian.Uint16(first[4:]) + uint16(len(at.parts))
		// TOS, TTL and DF must be equal, and where DF does not make the ID
		// meaningless (RFC 6864) it must count up.
		if first[1] != p[1] || first[8] != p[8] || first[6] != p[6] || first[6]&0x40 == 0 &&
			binary.BigEndian.Uint16(p[4:]) != id {
			return false
		}
	} else if !bytes.Equal(first[:4], p[:4]) || first[7] != p[7] {
		return false
	}
	if at.protocol == protoTCP {
		a, b := first[at.transport:at.header], p[at.transport:at.header]
		// Acknowledgement, reserved bits (RFC 9293 section 3.1; one of them is AE,
		// RFC 9768), window and options must be equal.
		if binary.BigEndian.Uint32(b[4:]) != at.next || !bytes.Equal(a[8:13], b[8:13]) ||
			!bytes.Equal(a[14:16], b[14:16]) || !bytes.Equal(a[18:], b[18:]) {
			return false
		}
	}
	// The device gets a fresh checksum for the whole, so a wrong one must not
	// be hidden by it.
	if !at.verified {
		if Checksum(first, at.transport, at.protocol) != 0 {
			at.closed = true
			return false
		}
		at.verified = true
	}
	if Checksum(p, at.transport, at.protocol) != 0 {
		return false
	}
	at.parts = append(at.parts, p)
	at.total += new.size
	at.next = new.next
	at.closed = new.closed || new.size < at.size
	return true
}

// Flush writes everything out.
func (c *Coalescer) Flush() {
	for i := range c.items[:c.n] {
		c.write(&c.items[i])
	}
	c.n = 0
	clear(c.bucket[:])
}

// write writes one item, packet by packet where the device refuses super-packets.
func (c *Coalescer) write(it *item) {
	if len(it.parts) == 1 {
		c.writeSingle(it.parts[0])
		return
	}
	first := it.parts[0]
	var saved [maxHeader]byte
	copy(saved[:], first[:it.header])

	it.encode(c.header[:])
	c.pieces = append(c.pieces[:0], c.header[:], first)
	for _, p := range it.parts[1:] {
		c.pieces = append(c.pieces, p[it.header:])
	}
	err := c.dev.Write(c.pieces)
	if err == nil {
		c.Supers++
		c.Packets += len(it.parts)
		c.Bytes += it.total + (len(it.parts)-1)*it.header
		return
	}
	if !errors.Is(err, syscall.EINVAL) {
		c.Failed += len(it.parts)
		c.FailedBytes += it.total + (len(it.parts)-1)*it.header
		return
	}
	// Some kernels refuse super-packets: do without from now on.
	if it.protocol == protoTCP {
		c.tcp = false
	} else {
		c.udp = false
	}
	copy(first, saved[:it.header])
	for _, p := range it.parts {
		c.writeSingle(p)
	}
}

// encode writes the header for the device and makes the first packet's headers
// those of the super-packet.
func (it *item) encode(h []byte) {
	p := it.parts[0]
	t := p[it.transport:]
	h[0], h[1] = flagNeedsChecksum, gsoUDP
	offset := 6
	if it.protocol == protoTCP {
		offset = 16
		h[1] = gsoTCPv4
		if p[0]>>4 == 6 {
			h[1] = gsoTCPv6
		}
		last := it.parts[len(it.parts)-1]
		t[13] |= last[it.transport+13] & tcpPSH
	} else {
		binary.BigEndian.PutUint16(t[4:], uint16(it.total-it.transport))
	}
	binary.NativeEndian.PutUint16(h[2:], uint16(it.header))
	binary.NativeEndian.PutUint16(h[4:], uint16(it.size))
	binary.NativeEndian.PutUint16(h[6:], uint16(it.transport))
	binary.NativeEndian.PutUint16(h[8:], uint16(offset))
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(it.total))
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], HeaderChecksum(p[:it.transport]))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(it.total-40))
	}
	binary.BigEndian.PutUint16(t[offset:], fold(add(pseudo(p, it.protocol), uint16(it.total-it.transport))))
}

// noOffload is the header of a packet that is complete.
var noOffload [HeaderLen]byte

// writeSingle writes one packet.
func (c *Coalescer) writeSingle(p []byte) {
	c.pieces = append(c.pieces[:0], noOffload[:], p)
	if c.dev.Write(c.pieces) != nil {
		c.Failed++
		c.FailedBytes += len(p)
		return
	}
	c.Packets++
	c.Bytes += len(p)
}

// sameFlow compares addresses and ports.
func sameFlow(a, b []byte, transport int) bool {
	from := 12
	if transport == 40 {
		from = 8
	}
	return a[0] == b[0] && bytes.Equal(a[from:transport+4], b[from:transport+4])
}

// flowHash mixes protocol, addresses and ports. Collisions only cost a join.
func flowHash(p []byte, it *item) uint32 {
	h := binary.LittleEndian.Uint32(p[it.transport:]) ^ uint32(it.protocol)
	from := 12
	if it.transport == 40 {
		from = 8
	}
	for i := from; i < it.transport; i += 4 {
		h = (h ^ binary.LittleEndian.Uint32(p[i:])) * 0x9e3779b1
	}
	return h * 0x9e3779b1 >> 16
}

// Package pcapng writes captures block by block, in the form that Wireshark
// and tcpdump read (draft-ietf-opsawg-pcapng), and counts what is in one. It is
// a leaf of a worker, so it is small, allocates nothing of its own, and knows
// only the four blocks that a capture needs. It is pure.
package pcapng

import "encoding/binary"

// LinkType says what a packet begins with (the registry of tcpdump.org).
type LinkType uint16

// The link types that captures have.
const (
	LinkEthernet LinkType = 1
	LinkRaw      LinkType = 101 // an IP header
)

// Block types.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6
)

const (
	byteOrderMagic = 0x1a2b3c4d
	snapLen        = 0 // no limit

	optEnd        = 0
	optComment    = 1
	optName       = 2 // if_name
	optApp        = 4 // shb_userappl
	optResolution = 9 // if_tsresol
	optFlags      = 2 // epb_flags
	optReceived   = 4 // isb_ifrecv
	optDropped    = 5 // isb_ifdrop

	nanoseconds = 9 // of if_tsresol: ten to the power of minus nine
)

// Direction is where a packet went, in the values of epb_flags.
type Direction uint32

// The directions.
const (
	Unknown  Direction = 0
	Inbound  Direction = 1
	Outbound Direction = 2
)

// Overhead is the most that AppendPacket adds to a packet with a comment of at
// most 64 bytes.
const Overhead = 32 + 8 + 4 + 4 + 68 + 4

// AppendHeader appends the section header and one interface: what a capture
// begins with. name is the interface's, app the program's.
func AppendHeader(b []byte, link LinkType, name, app string) []byte {
	b, at := begin(b, blockSection)
	b = le32(b, byteOrderMagic)
	b = append(b, 1, 0, 0, 0)                                      // version 1.0
	b = binary.LittleEndian.AppendUint64(b, 0xffff_ffff_ffff_ffff) // length unknown
	b = option(b, optApp, app)
	b = end(option(b, optEnd, ""), at)

	b, at = begin(b, blockInterface)
	b = binary.LittleEndian.AppendUint16(b, uint16(link))
	b = append(b, 0, 0)
	b = le32(b, snapLen)
	b = option(b, optName, name)
	b = option(b, optResolution, string([]byte{nanoseconds}))
	return end(option(b, optEnd, ""), at)
}

// AppendPacket appends a packet that passed at the time nanos (since 1970). Its
// bytes are head and then data. comment may be empty.
func AppendPacket(b []byte, nanos int64, d Direction, comment, head, data []byte) []byte {
	b, at := begin(b, blockPacket)
	n := uint32(len(head) + len(data))
	b = le32(b, 0)
	b = le32(b, uint32(uint64(nanos)>>32))
	b = le32(b, uint32(nanos))
	b = le32(b, n)
	b = le32(b, n)
	b = pad(append(append(b, head...), data...), int(n))
	b = binary.LittleEndian.AppendUint16(b, optFlags)
	b = append(b, 4, 0)
	b = le32(b, uint32(d))
	if len(comment) > 0 {
		b = option(b, optComment, comment)
	}
	return end(option(b, optEnd, ""), at)
}

// AppendStatistics appends what a capture ends with: how many packets were
// seen, those of them included that were dropped because the reader was slow.
func AppendStatistics(b []byte, nanos int64, received, dropped uint64) []byte {
	b, at := begin(b, blockStatistics)
	b = le32(b, 0)
	b = le32(b, uint32(uint64(nanos)>>32))
	b = le32(b, uint32(nanos))
	for _, o := range []struct {
		code  uint16
		value uint64
	}{{optReceived, received}, {optDropped, dropped}} {
		b = binary.LittleEndian.AppendUint16(b, o.code)
		b = append(b, 8, 0)
		b = binary.LittleEndian.AppendUint64(b, o.value)
	}
	return end(option(b, optEnd, ""), at)
}

func le32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// begin begins a block, whose length end fills in.
func begin(b []byte, kind uint32) ([]byte, int) {
	at := len(b)
	return le32(le32(b, kind), 0), at
}

func end(b []byte, at int) []byte {
	n := uint32(len(b) - at + 4)
	binary.LittleEndian.PutUint32(b[at+4:], n)
	return le32(b, n)
}

func option[T string | []byte](b []byte, code uint16, text T) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return pad(append(b, text...), len(text))
}

// pad fills up to a word what n bytes were appended to.
func pad(b []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}

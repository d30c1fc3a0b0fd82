package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/warrenvpn/warren/internal/record"
)

// Protocol is the versions of the conversation between Sender and Receiver that
// this program speaks. The receiver says which it speaks, and the sender chooses.
// A new version takes the next number; the one before it is spoken for one version
// of the program longer. What is new and can be missed is a new field of a
// message, and no new version.
var Protocol = record.Versions{Oldest: 1, Newest: 2}

// tendVersion is the first version with tend, tended and yield.
const tendVersion = 2

// MaxMessage bounds one message.
const MaxMessage = MaxRecord + messageRoom

// ErrMessage says that a message is truncated, damaged or none of ours.
var ErrMessage = errors.New("journal: malformed message")

// ErrProtocol says that the twin speaks no version of the protocol that this
// program speaks.
var ErrProtocol = errors.New("journal: twin speaks other versions of the replication protocol")

// kind is the type of a message. From the receiver come hello and ack:
//
//	receiver                                    sender
//	hello(protocol, stream, epoch, position) -->
//	                                  <-- begin, item ..., end   or   resume
//	                                  <-- entry ...
//	                                  <-- mark: from here on nothing leaves unacknowledged
//	ack(position)                     -->
//
// and, while the sender has no supervisor (failover.Tenure), at any time from begin or
// resume on
//
//	                                  <-- tend(clock)
//	tended(clock)                     -->
//	yield                             -->
type kind uint8

const (
	kindHello  kind = iota + 1 // protocol, stream, epoch, position, whether a copy is held
	kindResume                 // version, stream, epoch, position: entries after it follow
	kindBegin                  // version, stream, epoch, position, count: a snapshot follows
	kindItem                   // index, payload
	kindEnd                    // count
	kindEntry                  // position, payload
	kindMark                   // position
	kindAck                    // position
	kindTend                   // clock of the sender, which serves
	kindTended                 // the same clock
	kindYield                  // the receiver is to serve
)

// message is any of them; fields that a kind does not use are zero.
type message struct {
	kind     kind
	position Position
	payload  []byte
	count    uint32 // begin, end: items; item: its index
	stream   StreamID
	epoch    uint64
	holds    bool            // hello: there is a complete copy, however old
	protocol record.Versions // hello: what the receiver speaks
	version  uint8           // begin, resume: what is spoken in this session
	clock    uint64          // tend, tended: of the sender alone
}

// fields are the body of the message.
func (m *message) fields(f *record.Fields) {
	record.Number(f, 1, &m.position)
	f.Part(2, &m.payload)
	record.Number(f, 3, &m.count)
	f.Fixed(4, m.stream[:])
	record.Number(f, 5, &m.epoch)
	f.Flag(6, &m.holds)
	if m.kind == kindHello {
		f.Record(7, m.protocol.Fields)
	}
	record.Number(f, 8, &m.version)
	record.Number(f, 9, &m.clock)
	f.Require(len(m.payload) <= MaxRecord && (len(m.payload) > 0) == (m.kind == kindItem || m.kind == kindEntry))
	f.Require(m.kind >= kindHello && m.kind <= kindYield)
}

// messageRoom is what a message takes at most beside its payload.
const messageRoom = 64

// appendMessage appends m: kind, record, CRC-32C.
func appendMessage(b []byte, m *message) []byte {
	b = slices.Grow(b, len(m.payload)+messageRoom) // a payload has keys: no copies are left behind
	start := len(b)
	b = append(b, byte(m.kind))
	b = record.Append(b, m.fields)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseMessage parses one message. The payload is part of b.
func parseMessage(b []byte) (*message, error) {
	if len(b) < 5 || len(b) > MaxMessage {
		return nil, ErrMessage
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return nil, ErrMessage
	}
	m := &message{kind: kind(b[0])}
	if record.Parse(body[1:], m.fields) != nil {
		return nil, ErrMessage
	}
	return m, nil
}

package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"golang.org/x/crypto/cryptobyte"
)

// WireVersion is that of the messages between Sender and Receiver.
const WireVersion = 1

// MaxMessage bounds one message.
const MaxMessage = MaxRecord + 64

// ErrMessage says that a message is truncated, damaged or none of ours.
var ErrMessage = errors.New("journal: malformed message")

// kind is the type of a message. From the receiver come hello and ack:
//
//	receiver                          sender
//	hello(stream, epoch, position) -->
//	                        <-- begin, item ..., end   or   resume
//	                        <-- entry ...
//	                        <-- mark: from here on nothing leaves unacknowledged
//	ack(position)           -->
type kind uint8

const (
	kindHello  kind = iota + 1 // version, stream, epoch, position, whether a copy is held
	kindResume                 // stream, epoch, position: entries after it follow
	kindBegin                  // stream, epoch, position, count: a snapshot follows
	kindItem                   // index, payload
	kindEnd                    // count
	kindEntry                  // position, payload
	kindMark                   // position
	kindAck                    // position
)

// message is any of them; fields that a kind does not use are zero.
type message struct {
	kind     kind
	stream   StreamID
	epoch    uint64
	position Position
	count    uint32 // begin, end: items; item: its index
	holds    bool   // hello: there is a complete copy, however old
	payload  []byte
}

// appendMessage appends m: kind, body, CRC-32C.
func appendMessage(b []byte, m *message) []byte {
	start := len(b)
	b = append(b, byte(m.kind))
	switch m.kind {
	case kindHello:
		b = append(b, WireVersion)
		b = append(b, m.stream[:]...)
		b = binary.BigEndian.AppendUint64(b, m.epoch)
		b = binary.BigEndian.AppendUint64(b, uint64(m.position))
		if m.holds {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	case kindResume, kindBegin:
		b = append(b, m.stream[:]...)
		b = binary.BigEndian.AppendUint64(b, m.epoch)
		b = binary.BigEndian.AppendUint64(b, uint64(m.position))
		if m.kind == kindBegin {
			b = binary.BigEndian.AppendUint32(b, m.count)
		}
	case kindItem:
		b = binary.BigEndian.AppendUint32(b, m.count)
		b = append(b, m.payload...)
	case kindEnd:
		b = binary.BigEndian.AppendUint32(b, m.count)
	case kindEntry:
		b = binary.BigEndian.AppendUint64(b, uint64(m.position))
		b = append(b, m.payload...)
	case kindMark, kindAck:
		b = binary.BigEndian.AppendUint64(b, uint64(m.position))
	}
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
	s := cryptobyte.String(body[1:])
	var position uint64
	ok := false
	switch m.kind {
	case kindHello:
		var version, holds uint8
		if s.ReadUint8(&version) && version != WireVersion {
			return nil, fmt.Errorf("journal: peer speaks version %d, this is %d: %w", version, WireVersion, ErrVersion)
		}
		ok = s.CopyBytes(m.stream[:]) && s.ReadUint64(&m.epoch) && s.ReadUint64(&position) && s.ReadUint8(&holds) && holds <= 1
		m.holds = holds == 1
	case kindResume:
		ok = s.CopyBytes(m.stream[:]) && s.ReadUint64(&m.epoch) && s.ReadUint64(&position)
	case kindBegin:
		ok = s.CopyBytes(m.stream[:]) && s.ReadUint64(&m.epoch) && s.ReadUint64(&position) && s.ReadUint32(&m.count)
	case kindItem:
		ok = s.ReadUint32(&m.count) && readPayload(&s, m)
	case kindEnd:
		ok = s.ReadUint32(&m.count)
	case kindEntry:
		ok = s.ReadUint64(&position) && readPayload(&s, m)
	case kindMark, kindAck:
		ok = s.ReadUint64(&position)
	}
	if !ok || !s.Empty() {
		return nil, ErrMessage
	}
	m.position = Position(position)
	return m, nil
}

func readPayload(s *cryptobyte.String, m *message) bool {
	if s.Empty() || len(*s) > MaxRecord {
		return false
	}
	return s.ReadBytes(&m.payload, len(*s))
}

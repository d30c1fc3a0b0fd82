package wire

import (
	"encoding/binary"
	"fmt"
)

// HeaderLen is the size of the header of every IKE message, of both versions.
const HeaderLen = 28

// Version is the version byte of the header: major and minor, four bits each.
type Version uint8

// The versions of the protocol.
const (
	Version1 Version = 0x10
	Version2 Version = 0x20
)

// Major returns the major version.
func (v Version) Major() int { return int(v >> 4) }

// String returns "2.0".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v>>4, v&0xf) }

// Flags are the flags of the header (RFC 7296 section 3.1). The other bits are
// ignored when received.
type Flags uint8

// The flags.
const (
	FlagInitiator     Flags = 0x08 // sent by the original initiator of the IKE SA
	FlagHigherVersion Flags = 0x10 // the sender could speak a higher major version
	FlagResponse      Flags = 0x20
)

// Has reports whether all of f are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Header is the fixed header of a message (RFC 7296 section 3.1). That of
// IKEv1 has the same form: ParseHeader reads both, so that the driver or the
// engine can tell them apart by Version.
type Header struct {
	SPIi, SPIr  uint64
	NextPayload PayloadType
	Version     Version
	Exchange    ExchangeType
	Flags       Flags
	MessageID   uint32
	Length      uint32 // of the whole message; computed by AppendMessage
}

// Initiator reports whether the original initiator of the IKE SA sent this.
func (h *Header) Initiator() bool { return h.Flags.Has(FlagInitiator) }

// Response reports whether this is a response.
func (h *Header) Response() bool { return h.Flags.Has(FlagResponse) }

// ParseHeader reads the header of the message b, of any version. A message
// whose length field differs from the datagram is refused.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, syntax(NoNextPayload, "message shorter than its header")
	}
	h := Header{
		SPIi:        binary.BigEndian.Uint64(b),
		SPIr:        binary.BigEndian.Uint64(b[8:]),
		NextPayload: PayloadType(b[16]),
		Version:     Version(b[17]),
		Exchange:    ExchangeType(b[18]),
		Flags:       Flags(b[19]),
		MessageID:   binary.BigEndian.Uint32(b[20:]),
		Length:      binary.BigEndian.Uint32(b[24:]),
	}
	if len(b) > MaxMessage || uint64(h.Length) != uint64(len(b)) {
		return h, syntax(NoNextPayload, "length field differs from the datagram")
	}
	return h, nil
}

// Append appends the header as it stands, Length and NextPayload included.
func (h *Header) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.SPIi)
	b = binary.BigEndian.AppendUint64(b, h.SPIr)
	b = append(b, byte(h.NextPayload), byte(h.Version), byte(h.Exchange), byte(h.Flags))
	b = binary.BigEndian.AppendUint32(b, h.MessageID)
	return binary.BigEndian.AppendUint32(b, h.Length)
}

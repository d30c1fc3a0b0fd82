package wire

import "encoding/binary"

// Message is one IKEv2 message as it came from the network. An SK or SKF
// payload is the last of Payloads where there is one, and not yet decrypted.
type Message struct {
	Header
	Payloads Payloads
}

// ParseMessage reads a whole message: header and clear payloads. The Header is
// valid as far as the message reached even where the error is not nil.
func ParseMessage(b []byte) (Message, error) {
	h, err := ParseHeader(b)
	m := Message{Header: h}
	if err != nil {
		return m, err
	}
	if h.Version.Major() != Version2.Major() {
		return m, &Error{Notify: InvalidMajorVersion, Text: "version " + h.Version.String()}
	}
	m.Payloads, err = parseChain(h.NextPayload, b, HeaderLen)
	return m, err
}

// AppendMessage appends the message of h and ps. Length and NextPayload of h
// are computed.
func AppendMessage(b []byte, h Header, ps ...Payload) []byte {
	start := len(b)
	h.NextPayload = FirstType(ps)
	b = h.Append(b)
	b = AppendPayloads(b, ps...)
	binary.BigEndian.PutUint32(b[start+24:], uint32(len(b)-start))
	return b
}

// ClearResponse returns the answer to a message with header h that is not protected
// and holds n alone (RFC 7296 sections 1.5 and 2.6).
func ClearResponse(h *Header, n Notify) []byte {
	r := Header{
		SPIi: h.SPIi, SPIr: h.SPIr, Version: Version2, Exchange: h.Exchange,
		Flags: FlagResponse, MessageID: h.MessageID,
	}
	if !h.Initiator() {
		r.Flags |= FlagInitiator
	}
	return AppendMessage(nil, r, n)
}

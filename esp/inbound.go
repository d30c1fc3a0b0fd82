package esp

import (
	"encoding/binary"
	"errors"

	"github.com/warrenvpn/warren/esp/replay"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/transform"
)

// The errors of Inbound.Open. The packet must be dropped.
var (
	ErrReplay    = errors.New("esp: packet was seen before or is too old")
	ErrIntegrity = errors.New("esp: integrity check failed")
	ErrMalformed = errors.New("esp: malformed packet")
	ErrDummy     = errors.New("esp: dummy packet")
	ErrSelector  = errors.New("esp: inner packet is outside the traffic selectors")
	ErrECN       = errors.New("esp: congestion mark on a flow that cannot carry it")
)

// Inbound opens the packets of one inbound SA. It is not safe for concurrent
// use.
type Inbound struct {
	spi           sa.SPI
	extended      bool
	cipher        transform.Cipher
	window        replay.Window
	slot          *Slot
	local, remote []sa.Selector
	inner         *Inner // nil: there was no packet yet
}

// NewInbound makes the inbound half of c. Its slot must have been claimed.
func NewInbound(c *sa.Child, counters *Counters) (*Inbound, error) {
	t, err := transform.New(&c.In, nil)
	if err != nil {
		return nil, err
	}
	return &Inbound{
		spi: c.In.SPI, extended: c.In.ESN, cipher: *t,
		window: counters.Window(c.Slot), slot: counters.Slot(c.Slot),
		local: c.Local, remote: c.Remote,
	}, nil
}

// SPI returns the SPI of an ESP packet, and false where b is too short for one.
func SPI(b []byte) (sa.SPI, bool) {
	if len(b) < transform.HeaderLen {
		return 0, false
	}
	return sa.SPI(binary.BigEndian.Uint32(b)), true
}

// Open opens an ESP packet in place: replay check, integrity, decryption,
// padding, selectors of the inner packet, ECN (RFC 4303 section 3.4, RFC 4301
// section 5.2, RFC 6040 section 4.2). tos is from the outer header. It returns
// the inner packet, cut to what its header says, so that TFC padding is gone.
// newest reports whether the packet has the highest sequence number so far,
// which is when its outer source address means something.
//
// A packet with the errors ErrReplay, ErrIntegrity and ErrMalformed may be a
// forgery; only integrity failures and replays are counted in the slot. After
// ErrDummy, ErrSelector and ErrECN it was authentic.
func (in *Inbound) Open(packet []byte, tos uint8) (inner []byte, newest bool, err error) {
	body, seq, err := in.Decrypt(packet)
	if err != nil {
		return nil, false, err
	}
	return in.accept(body, seq, tos)
}

// Decrypt is the first half of Open, up to decryption. It changes nothing but
// counters, so clones may run it beside each other while nobody is in Accept.
func (in *Inbound) Decrypt(packet []byte) (body []byte, seq uint64, err error) {
	if len(packet) < transform.HeaderLen {
		return nil, 0, ErrMalformed
	}
	seq = in.window.Infer(binary.BigEndian.Uint32(packet[4:]), in.extended)
	if !in.window.Check(seq) {
		in.slot.replayDropped.Add(1)
		return nil, 0, ErrReplay
	}
	body, err = in.cipher.Open(packet, seq)
	switch err {
	case nil:
		return body, seq, nil
	case transform.ErrShort:
		return nil, 0, ErrMalformed
	}
	in.slot.integrityFailed.Add(1)
	return nil, 0, ErrIntegrity
}

// Accept is the second half of Open for what Decrypt returned, here or in a
// clone. Packets are accepted in the order in which they came; one that came
// twice meanwhile is a replay.
func (in *Inbound) Accept(body []byte, seq uint64, tos uint8) (inner []byte, newest bool, err error) {
	if !in.window.Check(seq) {
		in.slot.replayDropped.Add(1)
		return nil, false, ErrReplay
	}
	return in.accept(body, seq, tos)
}

func (in *Inbound) accept(body []byte, seq uint64, tos uint8) (inner []byte, newest bool, err error) {
	newest = seq > in.window.Top()
	in.window.Commit(seq)
	inner, err = in.unwrap(body, tos)
	return inner, newest, err
}

// Clone returns an Inbound of the same SA, replay window included, whose Decrypt
// may be used beside that of in.
func (in *Inbound) Clone() *Inbound {
	c := *in
	c.cipher, c.inner = *in.cipher.Clone(), nil
	return &c
}

// Detach returns what in is with counters of its own, which begin with those that in
// has: the slot may be given to another SA. in itself is not used any more, and must
// not be cleared: the result has its keys.
func (in *Inbound) Detach() (*Inbound, *Slot) {
	d := *in
	d.slot, d.window = new(Slot), in.window.Copy()
	return &d, d.slot
}

// Clear forgets the keys of in, which is not used any more; see
// transform.Cipher.Clear. Clones have keys of their own.
func (in *Inbound) Clear() { in.cipher.Clear() }

// SPI returns the SPI of the SA.
func (in *Inbound) SPI() sa.SPI { return in.spi }

// Inner returns the headers of the packet that Open returned last.
func (in *Inbound) Inner() *Inner { return in.inner }

// unwrap removes the padding from an authentic body and checks the inner
// packet.
func (in *Inbound) unwrap(body []byte, tos uint8) ([]byte, error) {
	n := len(body)
	pad, next := int(body[n-2]), body[n-1]
	if next == ProtoNone {
		return nil, ErrDummy
	}
	if n-transform.TrailerLen < pad {
		return nil, ErrMalformed
	}
	body = body[:n-transform.TrailerLen-pad]
	if in.inner == nil {
		in.inner = new(Inner)
	}
	p := in.inner
	if !ParseInner(body, p) || p.V6 != (next == ProtoIPv6) || next != ProtoIPv4 && next != ProtoIPv6 {
		return nil, ErrMalformed
	}
	body = body[:p.Len]
	if !Covers(in.local, in.remote, p) {
		return nil, ErrSelector
	}
	if !decapsulateECN(body, p, tos) {
		return nil, ErrECN
	}
	return body, nil
}

// The ECN field (RFC 3168 section 5).
const (
	ecnMask   = 0b11
	ecnECT1   = 0b01
	ecnECT0   = 0b10
	ecnCE     = 0b11
	ecnNotECT = 0b00
)

// decapsulateECN combines the inner with the outer ECN field as the table of
// RFC 6040 section 4.2 says, and reports false where the packet must go.
func decapsulateECN(b []byte, p *Inner, tos uint8) bool {
	outer, inner := tos&ecnMask, p.TOS&ecnMask
	switch {
	case outer == ecnNotECT || outer == inner || inner == ecnCE:
		return true
	case inner == ecnNotECT:
		return outer != ecnCE
	case outer == ecnECT0: // inner is ECT(1)
		return true
	}
	setTOS(b, p, p.TOS&^ecnMask|outer)
	return true
}

// setTOS changes the TOS or traffic class field, and the checksum with it.
func setTOS(b []byte, p *Inner, tos uint8) {
	p.TOS = tos
	if p.V6 {
		b[0] = b[0]&0xf0 | tos>>4
		b[1] = b[1]&0x0f | tos<<4
		return
	}
	sum := uint32(^binary.BigEndian.Uint16(b[10:])) + uint32(^binary.BigEndian.Uint16(b)&0xffff)
	b[1] = tos
	sum += uint32(binary.BigEndian.Uint16(b))
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
}

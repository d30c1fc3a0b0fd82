package esp

import (
	"encoding/binary"
	"math"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/transform"
)

// Outbound seals the packets of one outbound SA. It is not safe for concurrent
// use.
type Outbound struct {
	spi     sa.SPI
	cipher  transform.Cipher
	slot    *Slot
	ceiling uint64
}

// NewOutbound makes the outbound half of c. Its slot must have been claimed.
func NewOutbound(c *sa.Child, counters *Counters) (*Outbound, error) {
	t, err := transform.New(&c.Out, nil)
	if err != nil {
		return nil, err
	}
	o := &Outbound{spi: c.Out.SPI, cipher: *t, slot: counters.Slot(c.Slot), ceiling: math.MaxUint32}
	if c.Out.ESN {
		o.ceiling = math.MaxUint64 - 1
	}
	return o, nil
}

// Clone returns an Outbound of the same SA, sequence numbers included, that may
// be used beside o.
func (o *Outbound) Clone() *Outbound {
	c := *o
	c.cipher = *o.cipher.Clone()
	return &c
}

// Clear forgets the keys of o, which is not used any more; see
// transform.Cipher.Clear. Clones have keys of their own.
func (o *Outbound) Clear() { o.cipher.Clear() }

// HeaderLen returns the room that Seal needs in front of the inner packet.
func (o *Outbound) HeaderLen() int { return transform.HeaderLen + o.cipher.IVLen() }

// PacketLen returns the length of the ESP packet around n inner bytes.
func (o *Outbound) PacketLen(n int) int { return o.cipher.PacketLen(n) }

// MaxInner returns the largest inner packet whose ESP packet has at most n
// bytes.
func (o *Outbound) MaxInner(n int) int { return o.cipher.MaxInner(n) }

// Ceiling returns the last sequence number that the SA can have.
func (o *Outbound) Ceiling() uint64 { return o.ceiling }

// Reserve takes n sequence numbers for packets that will be sealed, and returns
// the first; false where the SA has none left or may not use them yet.
func (o *Outbound) Reserve(n int) (first uint64, ok bool) {
	return o.slot.Reserve(uint64(n), o.ceiling)
}

// Seal makes an ESP packet at the start of b, whose inner packet of n bytes
// stands already at HeaderLen, and returns it. b must have room for PacketLen.
// The sequence number is from Reserve and is used once.
func (o *Outbound) Seal(b []byte, n int, seq uint64) []byte {
	next := uint8(ProtoIPv4)
	header := o.HeaderLen()
	if b[header]>>4 == 6 {
		next = ProtoIPv6
	}
	b = b[:o.cipher.PacketLen(n)]
	binary.BigEndian.PutUint32(b, uint32(o.spi))
	binary.BigEndian.PutUint32(b[4:], uint32(seq))
	trailer := len(b) - o.cipher.ICVLen() - transform.TrailerLen
	pad := b[header+n : trailer]
	for i := range pad { // RFC 4303 section 2.4
		pad[i] = byte(i + 1)
	}
	b[trailer], b[trailer+1] = byte(len(pad)), next
	o.cipher.Seal(b, seq)
	return b
}

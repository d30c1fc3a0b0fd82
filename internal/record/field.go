package record

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// Number is a field of up to eight octets, big endian, without leading zeros. A
// number too large for T is malformed.
func Number[T ~uint8 | ~uint16 | ~uint32 | ~uint64](f *Fields, tag Tag, v *T) {
	if f.reading {
		n := f.number(tag)
		*v = T(n)
		f.Require(uint64(*v) == n)
		return
	}
	if n := uint64(*v); n != 0 {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		f.put(tag, b[bits.LeadingZeros64(n)/8:])
		return
	}
	f.start(tag)
}

// number reads a number; 0 where there is none.
func (f *Fields) number(tag Tag) (n uint64) {
	b, ok := f.value(tag)
	if !ok {
		return 0
	}
	if len(b) == 0 || len(b) > 8 || b[0] == 0 {
		f.fail()
		return 0
	}
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// Flag is a field that is there, and empty, or not there.
func (f *Fields) Flag(tag Tag, v *bool) {
	if f.reading {
		b, ok := f.value(tag)
		*v = ok
		f.Require(len(b) == 0)
		return
	}
	if *v {
		f.put(tag, nil)
		return
	}
	f.start(tag)
}

// bytes writes b, and reads it as a part of the input.
func (f *Fields) bytes(tag Tag, b []byte) []byte {
	if f.reading {
		b, ok := f.value(tag)
		f.Require(!ok || len(b) > 0)
		return b
	}
	if len(b) > 0 {
		f.put(tag, b)
		return nil
	}
	f.start(tag)
	return nil
}

// Bytes is a field of any length. It is read into a copy.
func (f *Fields) Bytes(tag Tag, v *[]byte) {
	if b := f.bytes(tag, *v); f.reading {
		*v = append([]byte(nil), b...)
	}
}

// Part is Bytes, read as a part of the input instead of a copy.
func (f *Fields) Part(tag Tag, v *[]byte) {
	if b := f.bytes(tag, *v); f.reading {
		*v = b
	}
}

// Fixed is a field of exactly len(b) octets, which is not written while all of
// them are zero.
func (f *Fields) Fixed(tag Tag, b []byte) {
	if f.reading {
		if v, ok := f.value(tag); ok {
			f.Require(len(v) == len(b) && !zero(v))
			copy(b, v)
		}
		return
	}
	if !zero(b) {
		f.put(tag, b)
		return
	}
	f.start(tag)
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Text is a field of any octets.
func (f *Fields) Text(tag Tag, v *string) {
	if f.reading {
		*v = string(f.bytes(tag, nil))
		return
	}
	f.bytes(tag, []byte(*v))
}

// Key is a field of any length that nobody may print. It is read into a copy.
func (f *Fields) Key(tag Tag, v *secret.Value) {
	if b := f.bytes(tag, v.Reveal()); len(b) > 0 {
		*v = secret.Copy(b)
	}
}

// InstantSize is the length of the value of an Instant, which ShiftInstant can
// therefore change in place.
const InstantSize = 8

// Instant is a field of nanoseconds since 1970, InstantSize octets; the zero Time
// is not written. It is read as UTC.
func (f *Fields) Instant(tag Tag, v *time.Time) {
	if f.reading {
		if b, ok := f.value(tag); ok {
			f.Require(len(b) == InstantSize)
			if len(b) == InstantSize {
				*v = time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
			}
		}
		return
	}
	if v.IsZero() {
		f.start(tag)
		return
	}
	var b [InstantSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(v.UnixNano()))
	f.put(tag, b[:])
}

// ShiftInstant makes the Instant with this tag in the record b later by d, where
// there is one.
func ShiftInstant(b []byte, tag Tag, d time.Duration) {
	if v := Find(b, tag); len(v) == InstantSize {
		binary.BigEndian.PutUint64(v, binary.BigEndian.Uint64(v)+uint64(d))
	}
}

// FindInstant returns the Instant with this tag in the record b, and the zero Time where
// there is none.
func FindInstant(b []byte, tag Tag) time.Time {
	v := Find(b, tag)
	if len(v) != InstantSize {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC()
}

// Duration is a field of nanoseconds, written like a Number, and not negative.
func (f *Fields) Duration(tag Tag, v *time.Duration) {
	n := uint64(max(*v, 0))
	Number(f, tag, &n)
	if f.reading {
		*v = time.Duration(n)
		f.Require(*v >= 0)
	}
}

// Addr is a field of 4 or 16 octets; an Addr that is not valid is not written,
// and a zone is not, either.
func (f *Fields) Addr(tag Tag, v *netip.Addr) {
	var room [maxAddr]byte
	if b := f.bytes(tag, appendAddr(room[:0], *v)); len(b) > 0 {
		var ok bool
		*v, ok = netip.AddrFromSlice(b)
		f.Require(ok)
	}
}

// AddrPort is an Addr and two octets of port.
func (f *Fields) AddrPort(tag Tag, v *netip.AddrPort) {
	var room [maxAddr]byte
	b := appendAddr(room[:0], v.Addr())
	if len(b) > 0 {
		b = binary.BigEndian.AppendUint16(b, v.Port())
	}
	if b = f.bytes(tag, b); len(b) > 2 {
		a, ok := netip.AddrFromSlice(b[:len(b)-2])
		f.Require(ok)
		*v = netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[len(b)-2:]))
		return
	}
	f.Require(len(b) == 0)
}

// Prefix is an Addr and an octet with the number of bits.
func (f *Fields) Prefix(tag Tag, v *netip.Prefix) {
	var room [maxAddr]byte
	b := room[:0]
	if v.IsValid() {
		b = append(appendAddr(b, v.Addr()), byte(v.Bits()))
	}
	if b = f.bytes(tag, b); len(b) > 0 {
		a, _ := netip.AddrFromSlice(b[:len(b)-1])
		*v = netip.PrefixFrom(a, int(b[len(b)-1]))
		f.Require(v.IsValid())
	}
}

// maxAddr is what an address takes at most, with a port.
const maxAddr = 16 + 2

// appendAddr appends the octets of a; nothing where it is not valid.
func appendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		v := a.As4()
		return append(b, v[:]...)
	case a.Is6():
		v := a.As16()
		return append(b, v[:]...)
	}
	return b
}

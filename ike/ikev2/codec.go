package ikev2

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/secret"
)

// writer appends the fields of a record, big endian, variable ones behind their
// length.
type writer struct{ b []byte }

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

func (w *writer) flag(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}

func (w *writer) bytes(v []byte) {
	w.u32(uint32(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) text(v string) {
	w.u32(uint32(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) key(v secret.Value) { w.bytes(v.Reveal()) }

// instant writes v with nanoseconds; the zero Time is 0.
func (w *writer) instant(v time.Time) {
	if v.IsZero() {
		w.u64(0)
		return
	}
	w.u64(uint64(v.UnixNano()))
}

func (w *writer) addr(v netip.Addr) {
	b := v.AsSlice()
	w.u8(uint8(len(b)))
	w.b = append(w.b, b...)
}

func (w *writer) addrPort(v netip.AddrPort) {
	w.addr(v.Addr())
	w.u16(v.Port())
}

func (w *writer) transform(v sa.Transform) {
	w.u8(uint8(v.Type))
	w.u16(v.ID)
	w.u16(v.KeyBits)
}

func (w *writer) selectors(list []sa.Selector) {
	w.u16(uint16(len(list)))
	for _, s := range list {
		w.addr(s.Start)
		w.addr(s.End)
		w.u8(s.Protocol)
		w.u16(s.StartPort)
		w.u16(s.EndPort)
	}
}

func (w *writer) addrs(list []netip.Addr) {
	w.u16(uint16(len(list)))
	for _, a := range list {
		w.addr(a)
	}
}

// reader takes the fields apart again. After the first that does not fit, bad
// is set and everything reads as zero.
type reader struct {
	s   cryptobyte.String
	bad bool
}

func (r *reader) fail() { r.bad, r.s = true, nil }

func (r *reader) take(n int) []byte {
	var b []byte
	if r.bad || !r.s.ReadBytes(&b, n) {
		r.fail()
		return make([]byte, min(n, 8))
	}
	return b
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) flag() bool {
	v := r.u8()
	if v > 1 {
		r.fail()
	}
	return v == 1
}

func (r *reader) bytes() []byte {
	n := int(r.u32())
	if n > len(r.s) {
		r.fail()
	}
	if r.bad || n == 0 {
		return nil
	}
	return r.take(n)
}

func (r *reader) text() string      { return string(r.bytes()) }
func (r *reader) key() secret.Value { return secret.Copy(r.bytes()) }

func (r *reader) instant() time.Time {
	v := r.u64()
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(v)).UTC()
}

func (r *reader) addr() netip.Addr {
	n := int(r.u8())
	if n == 0 || r.bad {
		return netip.Addr{}
	}
	if n != 4 && n != 16 {
		r.fail()
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(r.take(n))
	return a
}

func (r *reader) addrPort() netip.AddrPort {
	a := r.addr()
	return netip.AddrPortFrom(a, r.u16())
}

func (r *reader) transform() sa.Transform {
	return sa.Transform{Type: sa.TransformType(r.u8()), ID: r.u16(), KeyBits: r.u16()}
}

// count reads the number of elements that follow, each at least size bytes
// long, so that a false number allocates nothing.
func (r *reader) count(size int) int {
	n := int(r.u16())
	if n*size > len(r.s) {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) selectors() []sa.Selector {
	n := r.count(7)
	if n == 0 {
		return nil
	}
	out := make([]sa.Selector, n)
	for i := range out {
		out[i] = sa.Selector{Start: r.addr(), End: r.addr(), Protocol: r.u8(), StartPort: r.u16(), EndPort: r.u16()}
		if !out[i].IsValid() {
			r.fail()
		}
	}
	return out
}

func (r *reader) addrs() []netip.Addr {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	out := make([]netip.Addr, n)
	for i := range out {
		out[i] = r.addr()
	}
	return out
}

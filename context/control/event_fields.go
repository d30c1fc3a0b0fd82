package control

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/warrenvpn/warren/internal/record"
)

const (
	// maxListed bounds the items of a list in an event, and maxListBytes all of
	// them together, in bytes. Who tells of more tells of the first ones.
	maxListed    = 64
	maxListBytes = 2 << 10
	// maxAddrsBytes is what maxListed addresses take.
	maxAddrsBytes = maxListed * 16
	// ownTags are the tags of an event that are not its fact's.
	ownTags = 2
)

// List takes the fields of a fact, in the order of the log.
type List interface {
	// Text takes a text on one line, or the name of a thing.
	Text(key, v string)
	Number(key string, v uint64)
	// Limit takes a number that may be negative.
	Limit(key string, v int64)
	Flag(key string, v bool)
	Duration(key string, v time.Duration)
	// Addr and AddrPort take addresses; one that is not valid is none.
	Addr(key string, v netip.Addr)
	AddrPort(key string, v netip.AddrPort)
	Addrs(key string, v []netip.Addr)
	Texts(key string, v []string)
}

// Fields is one pass over the fields of a Fact: it writes them to the pipe, reads
// them from there, or lists them. Tags ascend from 1; a tag never changes its
// meaning, and a field that comes later has a higher one. On the pipe a field that
// is zero is not written, and one that is unknown is passed over.
type Fields struct {
	wire *record.Fields // nil: the pass lists
	list List
	room []byte // for a list on its way to the pipe
}

// IKESPI is an SPI of IKE, listed as 16 hexadecimal digits.
func (f *Fields) IKESPI(tag record.Tag, key string, v *uint64) {
	if f.wire != nil {
		record.Number(f.wire, ownTags+tag, v)
		return
	}
	var b [16]byte
	f.list.Text(key, string(appendHex(b[:0], *v, 16)))
}

// ESPSPI is an SPI of ESP, listed as 0x and 8 hexadecimal digits.
func (f *Fields) ESPSPI(tag record.Tag, key string, v *uint32) {
	if f.wire != nil {
		record.Number(f.wire, ownTags+tag, v)
		return
	}
	var b [10]byte
	f.list.Text(key, string(appendHex(append(b[:0], "0x"...), uint64(*v), 8)))
}

// appendHex appends the last digits of v.
func appendHex(b []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&0xf])
	}
	return b
}

// Text is a text of at most MaxString bytes on one line: the rest is cut off, and
// what is not printable becomes a question mark.
func (f *Fields) Text(tag record.Tag, key string, v *string) {
	switch {
	case f.wire == nil:
		f.list.Text(key, *v)
	case f.wire.Reading():
		f.wire.Text(ownTags+tag, v)
		*v = oneLine(*v, MaxString)
	default:
		text := oneLine(*v, MaxString)
		f.wire.Text(ownTags+tag, &text)
	}
}

// OptionalText is Text, and not listed where it is empty.
func (f *Fields) OptionalText(tag record.Tag, key string, v *string) {
	if f.wire != nil || *v != "" {
		f.Text(tag, key, v)
	}
}

// Number is a number.
func (f *Fields) Number(tag record.Tag, key string, v *uint64) {
	if f.wire != nil {
		record.Number(f.wire, ownTags+tag, v)
		return
	}
	f.list.Number(key, *v)
}

// Limit is a number which may be negative, not listed unless there is one.
func (f *Fields) Limit(tag record.Tag, key string, v *int64, there bool) {
	if f.wire != nil {
		n := uint64(*v)
		record.Number(f.wire, ownTags+tag, &n)
		*v = int64(n)
		return
	}
	if there {
		f.list.Limit(key, *v)
	}
}

// Flag is true or false.
func (f *Fields) Flag(tag record.Tag, key string, v *bool) {
	if f.wire != nil {
		f.wire.Flag(ownTags+tag, v)
		return
	}
	f.list.Flag(key, *v)
}

// Duration is a span of time, of which only what is above zero is told.
func (f *Fields) Duration(tag record.Tag, key string, v *time.Duration) {
	if f.wire != nil {
		f.wire.Duration(ownTags+tag, v)
		return
	}
	f.list.Duration(key, *v)
}

// OptionalDuration is Duration, and not listed where it is zero.
func (f *Fields) OptionalDuration(tag record.Tag, key string, v *time.Duration) {
	if f.wire != nil || *v != 0 {
		f.Duration(tag, key, v)
	}
}

// Addr is an address.
func (f *Fields) Addr(tag record.Tag, key string, v *netip.Addr) {
	if f.wire != nil {
		f.wire.Addr(ownTags+tag, v)
		return
	}
	f.list.Addr(key, *v)
}

// AddrPort is an address with a port.
func (f *Fields) AddrPort(tag record.Tag, key string, v *netip.AddrPort) {
	if f.wire != nil {
		f.wire.AddrPort(ownTags+tag, v)
		return
	}
	f.list.AddrPort(key, *v)
}

// Addrs is a list of addresses, of which the first maxListed are told.
func (f *Fields) Addrs(tag record.Tag, key string, v *[]netip.Addr) {
	switch {
	case f.wire == nil:
		f.list.Addrs(key, *v)
	case f.wire.Reading():
		*v = readItems(f, tag, maxAddrsBytes, func(b []byte) netip.Addr {
			a, ok := netip.AddrFromSlice(b)
			f.wire.Require(ok)
			return a
		})
	default:
		f.room = f.room[:0]
		for _, a := range (*v)[:min(len(*v), maxListed)] {
			if a.Is4() {
				b := a.As4()
				f.room = append(append(f.room, byte(len(b))), b[:]...)
			} else {
				b := a.As16()
				f.room = append(append(f.room, byte(len(b))), b[:]...)
			}
		}
		f.wire.Part(ownTags+tag, &f.room)
	}
}

// Texts is a list of texts, of which the first ones are told: maxListed, and
// maxListBytes.
func (f *Fields) Texts(tag record.Tag, key string, v *[]string) {
	switch {
	case f.wire == nil:
		f.list.Texts(key, *v)
	case f.wire.Reading():
		*v = readItems(f, tag, maxListBytes, func(b []byte) string { return oneLine(string(b), MaxString) })
	default:
		f.room = f.room[:0]
		for _, s := range (*v)[:min(len(*v), maxListed)] {
			s = oneLine(s, MaxString)
			if len(f.room)+len(s)+binary.MaxVarintLen16 > maxListBytes {
				break
			}
			f.room = append(binary.AppendUvarint(f.room, uint64(len(s))), s...)
		}
		f.wire.Part(ownTags+tag, &f.room)
	}
}

// OptionalTexts is Texts, and not listed where it is empty.
func (f *Fields) OptionalTexts(tag record.Tag, key string, v *[]string) {
	if f.wire != nil || len(*v) > 0 {
		f.Texts(tag, key, v)
	}
}

// readItems reads a list of record's form (record.Fields.Items) of at most most bytes.
func readItems[T any](f *Fields, tag record.Tag, most int, item func([]byte) T) (out []T) {
	var items [][]byte
	f.wire.Items(ownTags+tag, &items, maxListed)
	for _, b := range items {
		most -= len(b)
		f.wire.Require(most >= 0)
		if out == nil {
			out = make([]T, 0, len(items))
		}
		out = append(out, item(b))
	}
	return out
}

// oneLine returns s, cut to most bytes, with a blank for tabs and line ends and a
// question mark for whatever else a terminal might obey.
func oneLine(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return strings.Map(printableRune, s)
		}
	}
	return s
}

// printableRune is what oneLine makes of one rune.
func printableRune(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return ' '
	case r == utf8.RuneError, !unicode.IsPrint(r):
		return '?'
	}
	return r
}

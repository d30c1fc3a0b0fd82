// Package record is the form of everything that outlives the code which wrote
// it: what a journal holds, what the two nodes of a pair tell each other. A
// record is a row of fields, each with a tag, a length and a value:
//
//	 0   1   2   3   4   5   6   7
//	+---+---+---+---+---+---+---+---+- - - - - -+- - - - - - -+- - - -+
//	|      tag      |    length     | tag - 15  | length - 15 | value |
//	+---+---+---+---+---+---+---+---+- - - - - -+- - - - - - -+- - - -+
//
// A tag or a length from 15 on stands as 15 in its half octet and behind it, in
// this order, as a varint of what exceeds 15. Tags ascend, and there is one way
// to write each value: a number has no leading zero octets, and a field that is
// zero or empty is not written at all. So what Parse accepted Append writes octet
// for octet again.
//
// # Versions
//
// A tag never changes its meaning. Something new gets a new tag, and what an
// older program does not know it keeps (Fields.Keep) and passes on, as long as it
// keeps what the record is about: who writes a state anew says of which records that
// is so (context/replica, ike/ikev2). A tag that
// this version does not write any more is read for one version longer. What even
// that cannot bridge is a new version of a protocol: see Versions.
//
// The package is pure. Input may be hostile: nothing is allocated that is larger
// than the input says, by more than the size of its elements in memory.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed says that bytes are no record of the wanted form.
var ErrMalformed = errors.New("record: malformed")

// Tag names a field within its record, from 1 to MaxTag. Those below 15 take no
// octet of their own.
type Tag uint32

// MaxTag is the highest tag.
const MaxTag Tag = 1 << 16

// extended in half an octet says that a varint follows.
const extended = 15

// Fields is one pass over the fields of a record, which reads them or writes
// them: one list of fields is both directions. The list names its tags in
// ascending order.
type Fields struct {
	reading bool
	bad     bool
	b       []byte // reading: what is left; writing: what is written
	level          // of the record that the pass is in
}

// level is what a pass has to know of one record.
type level struct {
	last  Tag // the last field in b that was read
	asked Tag // the last tag of the list

	keep *Unknown
	kept []byte // fields of keep; writing: those that are still to be written
}

// Append appends the record with these fields to b. What fields point to is
// read, not changed.
func Append(b []byte, fields func(*Fields)) []byte {
	f := Fields{b: b}
	fields(&f)
	f.end()
	return f.b
}

// Parse reads the record in b into what fields point to, which must be zero. The
// error is ErrMalformed; then parts of it may have been read. Nothing of b is
// kept, except by Part.
func Parse(b []byte, fields func(*Fields)) error {
	f := Fields{reading: true, b: b}
	fields(&f)
	if f.end(); f.bad {
		return ErrMalformed
	}
	return nil
}

// Find returns the value of the field with this tag in the record b, as a part
// of b, and nil where there is none.
func Find(b []byte, tag Tag) []byte {
	for len(b) > 0 {
		t, value, rest, ok := split(b)
		if !ok || t > tag {
			return nil
		}
		if t == tag {
			return value
		}
		b = rest
	}
	return nil
}

// Reading reports whether the pass reads. A list of fields needs it where the
// form in memory is not the one of the record.
func (f *Fields) Reading() bool { return f.reading }

// Require makes the record malformed, unless ok, in a pass that reads: for what
// no single field can tell.
func (f *Fields) Require(ok bool) {
	if f.reading && !ok {
		f.fail()
	}
}

func (f *Fields) fail() { f.bad, f.b = true, nil }

// ask is what every field of the list begins with.
func (f *Fields) ask(tag Tag) {
	if tag <= f.asked || tag > MaxTag {
		panic(fmt.Sprintf("record: internal error: tag %d after %d", tag, f.asked))
	}
	f.asked = tag
}

// value returns what the field with this tag holds, as a part of the input.
// Fields before it are unknown.
func (f *Fields) value(tag Tag) ([]byte, bool) {
	f.ask(tag)
	for len(f.b) > 0 {
		t, value, rest, ok := split(f.b)
		if !ok || t <= f.last {
			f.fail()
			return nil, false
		}
		if t > tag {
			return nil, false
		}
		field := f.b[:len(f.b)-len(rest)]
		f.b, f.last = rest, t
		if t == tag {
			return value, true
		}
		f.unknown(field)
	}
	return nil, false
}

// put writes a field.
func (f *Fields) put(tag Tag, value []byte) {
	f.start(tag)
	f.b = append(appendHead(f.b, tag, len(value)), value...)
}

// start prepares for the field with this tag: unknown ones go before it.
func (f *Fields) start(tag Tag) {
	f.ask(tag)
	for len(f.kept) > 0 {
		t, _, rest, _ := split(f.kept)
		if t > tag {
			return
		}
		f.b = append(f.b, f.kept[:len(f.kept)-len(rest)]...)
		f.kept = rest
	}
}

// end finishes the record.
func (f *Fields) end() {
	if !f.reading {
		f.b = append(f.b, f.kept...)
		return
	}
	for len(f.b) > 0 {
		t, _, rest, ok := split(f.b)
		if !ok || t <= f.last {
			f.fail()
			break
		}
		f.unknown(f.b[:len(f.b)-len(rest)])
		f.b, f.last = rest, t
	}
	if f.keep != nil && !f.bad {
		*f.keep = newUnknown(f.kept)
	}
}

// maxHead is the length of the longest head of a field.
const maxHead = 1 + 2*binary.MaxVarintLen32

// appendHead appends what a field begins with.
func appendHead(b []byte, tag Tag, length int) []byte {
	b = append(b, byte(min(tag, extended))<<4|byte(min(length, extended)))
	if tag >= extended {
		b = binary.AppendUvarint(b, uint64(tag-extended))
	}
	if length >= extended {
		b = binary.AppendUvarint(b, uint64(length-extended))
	}
	return b
}

// split takes the first field from b, which is not empty.
func split(b []byte) (tag Tag, value, rest []byte, ok bool) {
	tag, n := Tag(b[0]>>4), uint64(b[0]&0x0f)
	b = b[1:]
	if tag == 0 {
		return 0, nil, nil, false
	}
	if tag == extended {
		var more uint64
		if more, b, ok = varint(b); !ok || more > uint64(MaxTag-extended) {
			return 0, nil, nil, false
		}
		tag += Tag(more)
	}
	if n == extended {
		var more uint64
		if more, b, ok = varint(b); !ok || more > uint64(len(b)) {
			return 0, nil, nil, false
		}
		n += more
	}
	if n > uint64(len(b)) {
		return 0, nil, nil, false
	}
	return tag, b[:n:n], b[n:], true
}

// varint takes a varint from b, in its shortest form only.
func varint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

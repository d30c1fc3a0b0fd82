package record

import (
	"encoding/binary"
	"slices"
)

// Record is a field that is a record, and not written while that is empty.
func (f *Fields) Record(tag Tag, fields func(*Fields)) {
	if f.reading {
		b, ok := f.value(tag)
		f.Require(!ok || len(b) > 0)
		o := f.enter(b)
		fields(f)
		f.leave(o)
		return
	}
	f.start(tag)
	start, o := len(f.b), f.enter(nil)
	fields(f)
	f.leave(o)
	if len(f.b) > start {
		f.enclose(tag, start)
	}
}

// Optional is a field that is a record, empty or not, where *v is not nil.
func Optional[T any](f *Fields, tag Tag, v **T, fields func(*Fields, *T)) {
	if f.reading {
		if b, ok := f.value(tag); ok {
			*v = new(T)
			o := f.enter(b)
			fields(f, *v)
			f.leave(o)
		}
		return
	}
	f.start(tag)
	if *v == nil {
		return
	}
	start, o := len(f.b), f.enter(nil)
	fields(f, *v)
	f.leave(o)
	f.enclose(tag, start)
}

// List is a field of records, one after the other, each behind its length as a
// varint: at most as many as most. It is not written while it is empty.
func List[T any](f *Fields, tag Tag, v *[]T, most int, fields func(*Fields, *T)) {
	if f.reading {
		b, n := f.items(tag, most)
		if n == 0 {
			return
		}
		*v = make([]T, n)
		for i := range *v {
			var item []byte
			item, b = next(b)
			o := f.enter(item)
			fields(f, &(*v)[i])
			f.leave(o)
		}
		return
	}
	f.start(tag)
	if len(*v) == 0 {
		return
	}
	start := len(f.b)
	for i := range *v {
		item, o := len(f.b), f.enter(nil)
		fields(f, &(*v)[i])
		f.leave(o)
		var size [binary.MaxVarintLen32]byte
		f.b = slices.Insert(f.b, item, binary.AppendUvarint(size[:0], uint64(len(f.b)-item))...)
	}
	f.enclose(tag, start)
}

// Items is a field like List, of items of any form, which are read as parts of the
// input.
func (f *Fields) Items(tag Tag, v *[][]byte, most int) {
	if f.reading {
		b, n := f.items(tag, most)
		if n == 0 {
			return
		}
		*v = make([][]byte, n)
		for i := range *v {
			(*v)[i], b = next(b)
		}
		return
	}
	f.start(tag)
	if len(*v) == 0 {
		return
	}
	start := len(f.b)
	for _, item := range *v {
		f.b = binary.AppendUvarint(f.b, uint64(len(item)))
		f.b = append(f.b, item...)
	}
	f.enclose(tag, start)
}

// Write is a field like Part, in a pass that writes: value appends what it holds, octet for
// octet. It is not written where that is nothing.
func (f *Fields) Write(tag Tag, value func(b []byte) []byte) {
	f.start(tag)
	start := len(f.b)
	if f.b = value(f.b); len(f.b) > start {
		f.enclose(tag, start)
	}
}

// WriteItems is a field like Items, in a pass that writes: item appends each of n items.
func (f *Fields) WriteItems(tag Tag, n int, item func(i int, b []byte) []byte) {
	f.Write(tag, func(b []byte) []byte {
		for i := range n {
			start := len(b)
			b = item(i, b)
			var size [binary.MaxVarintLen32]byte
			b = slices.Insert(b, start, binary.AppendUvarint(size[:0], uint64(len(b)-start))...)
		}
		return b
	})
}

// outside is where a pass goes on behind a record within the record.
type outside struct {
	level
	b []byte
}

// enter begins a record within the record: b, where the pass reads.
func (f *Fields) enter(b []byte) outside {
	o := outside{f.level, f.b}
	f.level = level{}
	if f.reading && !f.bad {
		f.b = b
	}
	return o
}

// leave ends what enter has begun.
func (f *Fields) leave(o outside) {
	f.end()
	f.level = o.level
	if f.reading && !f.bad {
		f.b = o.b
	}
}

// enclose makes what was written since start the value of a field with this
// tag.
func (f *Fields) enclose(tag Tag, start int) {
	var head [maxHead]byte
	f.b = slices.Insert(f.b, start, appendHead(head[:0], tag, len(f.b)-start)...)
}

// items returns the list with this tag and the number of its items, 0 where there is
// none.
func (f *Fields) items(tag Tag, most int) ([]byte, int) {
	b, ok := f.value(tag)
	n, whole := count(b)
	if f.Require(whole && n <= most && (!ok || n > 0)); f.bad {
		return nil, 0
	}
	return b, n
}

// count returns how many items a list has, and whether all of it is one.
func count(b []byte) (n int, ok bool) {
	for ; len(b) > 0; n++ {
		size, rest, ok := varint(b)
		if !ok || size > uint64(len(rest)) {
			return 0, false
		}
		b = rest[size:]
	}
	return n, true
}

// next takes the first item of a list that count has passed.
func next(b []byte) (item, rest []byte) {
	size, b, _ := varint(b)
	return b[:size:size], b[size:]
}

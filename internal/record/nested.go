package record

import "encoding/binary"

// Record is a field that is a record, and not written while that is empty.
func (f *Fields) Record(tag Tag, fields func(*Fields)) {
	if f.reading {
		b, ok := f.value(tag)
		f.Require(!ok || len(b) > 0)
		f.parse(b, fields)
		return
	}
	f.start(tag)
	start := len(f.b)
	if f.b = Append(f.b, fields); len(f.b) > start {
		f.enclose(tag, start)
	}
}

// Optional is a field that is a record, empty or not, where *v is not nil.
func Optional[T any](f *Fields, tag Tag, v **T, fields func(*Fields, *T)) {
	if f.reading {
		if b, ok := f.value(tag); ok {
			*v = new(T)
			f.parse(b, func(f *Fields) { fields(f, *v) })
		}
		return
	}
	f.start(tag)
	if *v == nil {
		return
	}
	start := len(f.b)
	f.b = Append(f.b, func(f *Fields) { fields(f, *v) })
	f.enclose(tag, start)
}

// List is a field of records, one after the other, each behind its length as a
// varint: at most as many as most. It is not written while it is empty.
func List[T any](f *Fields, tag Tag, v *[]T, most int, fields func(*Fields, *T)) {
	if f.reading {
		b, ok := f.value(tag)
		n, whole := count(b)
		if f.Require(whole && n <= most && (!ok || n > 0)); f.bad || n == 0 {
			return
		}
		*v = make([]T, n)
		for i := range *v {
			var item []byte
			item, b = next(b)
			f.parse(item, func(f *Fields) { fields(f, &(*v)[i]) })
		}
		return
	}
	f.start(tag)
	if len(*v) == 0 {
		return
	}
	start := len(f.b)
	var item []byte
	for i := range *v {
		item = Append(item[:0], func(f *Fields) { fields(f, &(*v)[i]) })
		f.b = binary.AppendUvarint(f.b, uint64(len(item)))
		f.b = append(f.b, item...)
	}
	clear(item) // it may have held keys
	f.enclose(tag, start)
}

// Items is a field like List, of items of any form, which are read as parts of the
// input.
func (f *Fields) Items(tag Tag, v *[][]byte, most int) {
	if f.reading {
		b, ok := f.value(tag)
		n, whole := count(b)
		if f.Require(whole && n <= most && (!ok || n > 0)); f.bad || n == 0 {
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

// parse reads a record within the record.
func (f *Fields) parse(b []byte, fields func(*Fields)) {
	if Parse(b, fields) != nil {
		f.fail()
	}
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

package journal

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// Layout of the memory: two slots, then one area of records that is in use and
// room for the next one.
//
//	0        128      256                                          len
//	+--------+--------+----------------------+----------------------+
//	| slot 0 | slot 1 | records              | records              |
//	+--------+--------+----------------------+----------------------+
//
// The valid slot with the higher generation counts. It is written only after
// the records that it points to, in the other place than its predecessor. So a
// process that is killed between any two stores leaves the old state or the
// new one.
//
// Slot: magic 4, version 2, zero 2, generation 8, offset 8, length 8, salt 4,
// snapshot entries 4, base position 8, stream 16, checksum 4.
const (
	slotSize   = 128
	recordsOff = 2 * slotSize
	slotUsed   = 68

	slotMagic = 0x5741524a // "WARJ"

	// The form of the memory: what Open reads, and what is written. A neighbouring
	// program may have written it, which is older or, after a rollback, newer: the
	// next form is read in one version of the program, and written from the one after
	// it on. See docs/testing.md.
	slotOldest  = 1
	slotNewest  = 1
	slotVersion = 1

	// MinMemory is the smallest memory that Open accepts.
	MinMemory = 4096
)

// Record: length 4, checksum 4, position 8, payload. The checksum covers the
// checksum of the record before it (of the first: the salt of the area),
// length, position and payload; so the records that count are a chain, and
// what an earlier life left behind it never continues the chain. A length of 0
// ends the area.
const recordHead = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Store is a journal in memory that somebody else keeps: a shared mapping of a
// memory file. Whatever moment the process dies at, Open finds the records
// whose Append had returned, and possibly one more. The page cache is the
// medium: a Store survives the process, not the machine.
type Store struct {
	mem  []byte
	slot slot

	end   int    // offset of the next record
	chain uint32 // checksum of the last record
	next  Position
	torn  bool
}

// slot is what one of the two slots says.
type slot struct {
	generation uint64
	offset     int // of the area
	length     int // of the area
	salt       uint32
	entries    uint32   // snapshot entries that the area begins with
	base       Position // of the last record before the area; snapshot entries carry it
	stream     StreamID
}

// Open finds the journal in mem, or makes an empty one where mem is all zero.
// Damaged records end it: what comes before them is kept.
func Open(mem []byte) (*Store, error) {
	if len(mem) < MinMemory {
		return nil, ErrTooSmall
	}
	s := &Store{mem: mem}
	a, errA := s.readSlot(0)
	b, errB := s.readSlot(1)
	switch {
	case errA == nil && (errB != nil || a.generation > b.generation):
		s.slot = a
	case errB == nil:
		s.slot = b
	case errA == ErrVersion || errB == ErrVersion:
		return nil, ErrVersion
	case !allZero(mem[recordsOff : recordsOff+recordHead]):
		return nil, ErrFormat
	default:
		// Nothing was ever appended: fresh, or its maker died.
		s.slot = slot{generation: 1, offset: recordsOff, length: half(len(mem)), salt: 1}
		s.writeSlot()
	}
	s.recover()
	if a := s.idleArea(); a.length >= recordHead && !allZero(mem[a.offset:a.offset+recordHead]) {
		wipe(mem[a.offset : a.offset+a.length])
	}
	return s, nil
}

// Append adds a record and returns its position. With ErrFull nothing changed.
func (s *Store) Append(payload []byte) (Position, error) {
	if len(payload) == 0 || len(payload) > MaxRecord {
		return 0, ErrTooLarge
	}
	if !s.fits(len(payload)) {
		return 0, ErrFull
	}
	s.put(s.next, payload)
	s.next++
	return s.next - 1, nil
}

// Replay calls f with every record, oldest first; the slice is the memory
// itself and must be neither changed nor kept. After a Compact the first
// records are the entries of its snapshot. Replay ends with the first error.
func (s *Store) Replay(f func(payload []byte) error) error {
	for off := s.slot.offset; off < s.end; {
		n := int(binary.BigEndian.Uint32(s.mem[off:]))
		if err := f(s.mem[off+recordHead : off+recordHead+n]); err != nil {
			return err
		}
		off += recordHead + n
	}
	return nil
}

// Compact replaces all records by the entries of state, which must give what
// they added up to. Positions go on. When it returns an error nothing changed.
// State must not use the Store. The old records are overwritten with zeros.
func (s *Store) Compact(state iter.Seq[[]byte]) error {
	return s.Reset(s.slot.stream, s.next-1, state)
}

// Reset is Compact for a copy that came from elsewhere: the entries are what
// the records of stream up to position at add up to, and the next Append gives
// the position after it.
func (s *Store) Reset(stream StreamID, at Position, state iter.Seq[[]byte]) error {
	fresh := &Store{mem: s.mem, slot: s.idleArea(), next: at + 1}
	fresh.slot.base, fresh.slot.stream = at, stream
	fresh.end, fresh.chain = fresh.slot.offset, fresh.slot.salt
	for payload := range state {
		err := error(nil)
		switch {
		case len(payload) == 0 || len(payload) > MaxRecord:
			err = ErrTooLarge
		case !fresh.fits(len(payload)):
			err = ErrFull
		}
		if err != nil {
			wipe(s.mem[fresh.slot.offset:fresh.end])
			return err
		}
		fresh.put(fresh.slot.base, payload)
		fresh.slot.entries++
	}
	fresh.terminate()
	fresh.writeSlot()
	wipe(s.mem[s.slot.offset:s.end])
	*s = *fresh
	return nil
}

// Next returns the position that the next Append will get.
func (s *Store) Next() Position { return s.next }

// Stream returns the name of the stream; it is zero in a fresh Store.
func (s *Store) Stream() StreamID { return s.slot.stream }

// SetStream names the stream. The name survives Compact and Open.
func (s *Store) SetStream(id StreamID) {
	s.slot.stream = id
	s.slot.generation++
	s.writeSlot()
}

// Torn reports whether Open found more than it could read: the process died in
// an Append, or the memory was damaged. In the second case positions that had
// been given out are given out again, so the stream needs another name.
func (s *Store) Torn() bool { return s.torn }

// Used returns how many bytes the records take, and how many they may take
// until Append says ErrFull.
func (s *Store) Used() (used, limit int) { return s.end - s.slot.offset, s.slot.length }

// Idle returns the range of the memory that is not in use until the next
// Compact; the owner of the mapping may give its pages back.
func (s *Store) Idle() (offset, length int) {
	a := s.idleArea()
	return a.offset, a.length
}

// fits reports whether a record of n bytes fits into the area.
func (s *Store) fits(n int) bool {
	return s.slot.offset+s.slot.length-s.end >= recordHead+n
}

// put writes one record at the end of the area, its head last.
func (s *Store) put(at Position, payload []byte) {
	var head [recordHead]byte
	binary.BigEndian.PutUint32(head[0:], uint32(len(payload)))
	binary.BigEndian.PutUint64(head[8:], uint64(at))
	sum := checksum(s.chain, head[:], payload)
	binary.BigEndian.PutUint32(head[4:], sum)

	copy(s.mem[s.end+recordHead:], payload)
	copy(s.mem[s.end:], head[:])
	s.end += recordHead + len(payload)
	s.chain = sum
}

// terminate marks the end of a new area, whose memory may hold anything.
func (s *Store) terminate() {
	if end := s.slot.offset + s.slot.length; s.end < end {
		clear(s.mem[s.end:min(s.end+recordHead, end)])
	}
}

// recover walks the chain of records to its end.
func (s *Store) recover() {
	s.end, s.chain = s.slot.offset, s.slot.salt
	s.next = s.slot.base + 1
	limit := min(s.slot.offset+s.slot.length, len(s.mem))
	n := uint32(0)
	for ; limit-s.end >= recordHead; n++ {
		head := s.mem[s.end : s.end+recordHead]
		length := binary.BigEndian.Uint32(head)
		if length == 0 || length > MaxRecord || int(length) > limit-s.end-recordHead {
			break
		}
		payload := s.mem[s.end+recordHead : s.end+recordHead+int(length)]
		sum := checksum(s.chain, head, payload)
		want := s.next
		if n < s.slot.entries {
			want = s.slot.base
		}
		if sum != binary.BigEndian.Uint32(head[4:]) || Position(binary.BigEndian.Uint64(head[8:])) != want {
			break
		}
		if n >= s.slot.entries {
			s.next++
		}
		s.end += recordHead + int(length)
		s.chain = sum
	}
	s.slot.length = limit - s.slot.offset
	s.torn = n < s.slot.entries || limit-s.end >= recordHead && !allZero(s.mem[s.end:s.end+recordHead])
	if n < s.slot.entries {
		s.slot.entries = n
		s.slot.generation++
		s.writeSlot()
	}
}

// idleArea returns the slot of the area that is not in use: the other half of
// the memory, as large as it is now.
func (s *Store) idleArea() slot {
	next := s.slot
	next.generation++
	next.salt = s.slot.salt + 1
	next.entries = 0
	middle := recordsOff + half(len(s.mem))
	if s.slot.offset == recordsOff {
		next.offset = max(middle, recordsOff+s.slot.length)
		next.length = len(s.mem) - next.offset
	} else {
		next.offset = recordsOff
		next.length = min(middle, s.slot.offset) - recordsOff
	}
	return next
}

// wipe overwrites what may hold keys. The head of the first record goes last:
// it tells Open whether somebody died on the way.
func wipe(area []byte) {
	if len(area) < recordHead {
		return
	}
	clear(area[recordHead:])
	clear(area[:recordHead])
}

// writeSlot writes the slot where its predecessor is not.
func (s *Store) writeSlot() {
	var b [slotUsed]byte
	binary.BigEndian.PutUint32(b[0:], slotMagic)
	binary.BigEndian.PutUint16(b[4:], slotVersion)
	binary.BigEndian.PutUint64(b[8:], s.slot.generation)
	binary.BigEndian.PutUint64(b[16:], uint64(s.slot.offset))
	binary.BigEndian.PutUint64(b[24:], uint64(s.slot.length))
	binary.BigEndian.PutUint32(b[32:], s.slot.salt)
	binary.BigEndian.PutUint32(b[36:], s.slot.entries)
	binary.BigEndian.PutUint64(b[40:], uint64(s.slot.base))
	copy(b[48:], s.slot.stream[:])
	binary.BigEndian.PutUint32(b[64:], crc32.Checksum(b[:64], castagnoli))
	copy(s.mem[int(s.slot.generation%2)*slotSize:], b[:])
}

// readSlot reads slot i and checks everything that it says.
func (s *Store) readSlot(i int) (slot, error) {
	b := s.mem[i*slotSize : i*slotSize+slotUsed]
	if binary.BigEndian.Uint32(b) != slotMagic ||
		binary.BigEndian.Uint32(b[64:]) != crc32.Checksum(b[:64], castagnoli) {
		return slot{}, ErrFormat
	}
	if v := binary.BigEndian.Uint16(b[4:]); v < slotOldest || v > slotNewest {
		return slot{}, ErrVersion
	}
	offset, length := binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	if offset < recordsOff || offset > uint64(len(s.mem)) || length > 1<<48 {
		return slot{}, ErrFormat
	}
	return slot{
		generation: binary.BigEndian.Uint64(b[8:]),
		offset:     int(offset),
		length:     int(length),
		salt:       binary.BigEndian.Uint32(b[32:]),
		entries:    binary.BigEndian.Uint32(b[36:]),
		base:       Position(binary.BigEndian.Uint64(b[40:])),
		stream:     StreamID(b[48:64]),
	}, nil
}

// checksum continues the chain with one record; the checksum field of head
// does not count.
func checksum(chain uint32, head, payload []byte) uint32 {
	var b [recordHead + 4]byte
	binary.BigEndian.PutUint32(b[:], chain)
	copy(b[4:], head)
	clear(b[8:12])
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, payload)
}

// half returns the size of one of the two areas in n bytes of memory.
func half(n int) int { return (n - recordsOff) / 2 &^ 7 }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

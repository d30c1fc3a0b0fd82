package esp

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/warrenvpn/warren/esp/replay"
)

// AdoptMargin is how many outbound sequence numbers a worker skips when it
// adopts a slot of its predecessor. The reservation itself is in shared memory
// already, so this is a second safeguard.
const AdoptMargin = 64

// smallWindow is the widest replay window that fits into the slot itself. A
// wider one lives in a second region whose pages cost nothing until used.
const (
	smallWindow = 1024
	smallWords  = smallWindow/64 + 1
	largeWords  = replay.MaxSize/64 + 1
)

// countersName is what the first 7 bytes of counter memory say; the 8th is the version
// of its layout.
const countersName = 0x57524e434e5452 // "WRNCNTR"

// The layout of counter memory: what NewCounters reads, and what it gives to memory that
// is empty. A neighbouring program may have written it, which is older or, after a
// rollback, newer: a change of Slot takes the next version, which is read in one version
// of the program, and given from the one after it on. See docs/testing.md.
const (
	oldestLayout  = 1
	newestLayout  = 1
	countersStart = countersName<<8 | 1
)

// headerSize keeps the slots behind the version on lines of their own.
const headerSize = 64

// Slot is the counters of one child SA, in memory that outlives the worker.
// The layout is one of a range of versions: memory of another one is refused.
// Every field is an atomic; each has one writer at a time, the holder of the
// child's lock in the data plane, except where a method says otherwise.
type Slot struct {
	owner    atomic.Uint64 // Child.ID of the pair; 0: free
	outNext  atomic.Uint64 // the next outbound sequence number
	outLimit atomic.Uint64 // the last one that may be used; 0: no limit
	inTop    atomic.Uint64 // replay window: its top

	packetsIn, bytesIn   atomic.Uint64
	packetsOut, bytesOut atomic.Uint64
	lastIn, lastOut      atomic.Int64 // Unix seconds; 0: never

	replayDropped   atomic.Uint64
	integrityFailed atomic.Uint64
	window          atomic.Uint64 // replay window: its size in packets
	_               [3]uint64

	ring [smallWords]atomic.Uint64
	_    [7]uint64
}

// SlotSize is the number of bytes of counter memory that one child SA takes,
// where its replay window is 1024 packets or less.
const SlotSize = int(unsafe.Sizeof(Slot{}))

const largeSize = largeWords * 8

// CountersSize returns the number of bytes that the counters of slots child
// SAs need. Most of it stays untouched, and a memory file does not charge for
// that, so slots may be generous.
func CountersSize(slots int) int { return headerSize + slots*(SlotSize+largeSize) }

// Counters is an arena of slots in memory that the caller provides: a mapping
// of a memory file, or plain memory in tests.
type Counters struct {
	slots []Slot
	large [][largeWords]atomic.Uint64
}

// Errors of NewCounters.
var (
	// ErrCounters is returned for memory that cannot hold counters.
	ErrCounters = errors.New("esp: counter memory is not usable")
	// ErrCountersVersion is returned for memory whose layout is that of a version
	// which is no neighbour of this one, or that holds something else.
	ErrCountersVersion = errors.New("esp: counter memory of another version")
)

// NewCounters lays an arena over mem, which must be aligned to 8 bytes, as a
// mapping is. What mem already holds stays valid: a worker that maps the
// memory of its predecessor goes on where that one stopped. All zero is empty,
// and becomes memory of this version. The error is ErrCounters, or
// ErrCountersVersion.
func NewCounters(mem []byte) (*Counters, error) {
	n := (len(mem) - headerSize) / (SlotSize + largeSize)
	if n <= 0 || uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return nil, fmt.Errorf("%w: %d bytes", ErrCounters, len(mem))
	}
	start := (*atomic.Uint64)(unsafe.Pointer(&mem[0]))
	start.CompareAndSwap(0, countersStart)
	s := start.Load()
	if layout := s & 0xff; s>>8 != countersName || layout < oldestLayout || layout > newestLayout {
		return nil, fmt.Errorf("%w: %#x, not %#x to %#x", ErrCountersVersion, s,
			uint64(countersName<<8|oldestLayout), uint64(countersName<<8|newestLayout))
	}
	mem = mem[headerSize:]
	return &Counters{
		slots: unsafe.Slice((*Slot)(unsafe.Pointer(&mem[0])), n),
		large: unsafe.Slice((*[largeWords]atomic.Uint64)(unsafe.Pointer(&mem[n*SlotSize])), n),
	}, nil
}

// Len returns the number of slots.
func (c *Counters) Len() int { return len(c.slots) }

// Slot returns slot i, and nil where there is none.
func (c *Counters) Slot(i uint32) *Slot {
	if int(i) >= len(c.slots) {
		return nil
	}
	return &c.slots[i]
}

// Window returns the replay window of slot i with the size that it was claimed
// for.
func (c *Counters) Window(i uint32) replay.Window {
	s := &c.slots[i]
	size := uint32(s.window.Load())
	ring := s.ring[:]
	if size > smallWindow {
		ring = c.large[i][:]
	}
	return replay.New(&s.inTop, ring, size)
}

// Claim gives slot i to the child SA with this ID. A slot that already belongs
// to it is adopted: sequence numbers go on AdoptMargin above the last one used
// and the replay window is kept. Any other slot starts from zero.
func (c *Counters) Claim(i uint32, id uint64, window uint32) (adopted bool, err error) {
	s := c.Slot(i)
	if s == nil {
		return false, fmt.Errorf("esp: counter slot %d of %d", i, len(c.slots))
	}
	if window != 0 && (window < replay.MinSize || window > replay.MaxSize) {
		return false, fmt.Errorf("esp: replay window of %d packets is not 0 or %d to %d", window, replay.MinSize,
			replay.MaxSize)
	}
	if s.owner.Load() == id && id != 0 {
		s.outNext.Add(AdoptMargin)
		if s.window.Load() != uint64(window) {
			s.window.Store(uint64(window))
			w := c.Window(i)
			w.Advance(w.Top()) // the old bits mean nothing in a ring of another size
		}
		return true, nil
	}
	s.owner.Store(0) // a crash from here on leaves the slot free, not half set up
	s.outNext.Store(1)
	s.outLimit.Store(0)
	for _, a := range []*atomic.Uint64{&s.packetsIn, &s.bytesIn, &s.packetsOut, &s.bytesOut, &s.replayDropped,
		&s.integrityFailed} {
		a.Store(0)
	}
	s.lastIn.Store(0)
	s.lastOut.Store(0)
	s.window.Store(uint64(window))
	w := c.Window(i)
	w.Reset()
	s.owner.Store(id)
	return false, nil
}

// Release frees slot i.
func (c *Counters) Release(i uint32) { c.slots[i].owner.Store(0) }

// Owner returns the ID of the child SA that the slot belongs to; 0: none.
func (s *Slot) Owner() uint64 { return s.owner.Load() }

// Reserve takes n consecutive outbound sequence numbers up to and including
// ceiling, and returns the first. It takes none, and reports false, where the
// limit or the ceiling is in the way. It may be called by several goroutines.
func (s *Slot) Reserve(n, ceiling uint64) (first uint64, ok bool) {
	for {
		first = s.outNext.Load()
		last := first + n - 1
		if limit := s.outLimit.Load(); last > ceiling || limit != 0 && last > limit || last < first {
			return 0, false
		}
		if s.outNext.CompareAndSwap(first, last+1) {
			return first, true
		}
	}
}

// BytesIn returns the inner bytes delivered so far.
func (s *Slot) BytesIn() uint64 { return s.bytesIn.Load() }

// BytesOut returns the inner bytes sent so far.
func (s *Slot) BytesOut() uint64 { return s.bytesOut.Load() }

// OutNext returns the next outbound sequence number.
func (s *Slot) OutNext() uint64 { return s.outNext.Load() }

// OutLimit returns the last outbound sequence number that may be used; 0 means
// that there is no limit.
func (s *Slot) OutLimit() uint64 { return s.outLimit.Load() }

// SetOutLimit sets the last outbound sequence number that may be used; 0 takes
// the limit away. Failover calls it when the standby has acknowledged a
// reservation. It may be called at any time by any goroutine.
func (s *Slot) SetOutLimit(n uint64) { s.outLimit.Store(n) }

// SkipOut makes sure that no outbound sequence number below next is used from
// now on. A node that takes over calls it with one more than the reservation.
// It may be called at any time by any goroutine.
func (s *Slot) SkipOut(next uint64) {
	for {
		old := s.outNext.Load()
		if next <= old || s.outNext.CompareAndSwap(old, next) {
			return
		}
	}
}

// Facts is a copy of the counters that people ask for.
type Facts struct {
	PacketsIn, BytesIn   uint64 // inner packets delivered, and their bytes
	PacketsOut, BytesOut uint64 // inner packets sent, and their bytes
	ReplayDropped        uint64
	IntegrityFailed      uint64
	SequenceOut          uint64 // the last one used
	SequenceIn           uint64 // the highest one accepted
	LastIn, LastOut      int64  // Unix seconds; 0: never
}

// Facts returns a copy of the counters. It may be called by any goroutine; the
// fields are consistent one by one, not together.
func (s *Slot) Facts() Facts {
	return Facts{
		PacketsIn: s.packetsIn.Load(), BytesIn: s.bytesIn.Load(),
		PacketsOut: s.packetsOut.Load(), BytesOut: s.bytesOut.Load(),
		ReplayDropped: s.replayDropped.Load(), IntegrityFailed: s.integrityFailed.Load(),
		SequenceOut: s.outNext.Load() - 1, SequenceIn: s.inTop.Load(),
		LastIn: s.lastIn.Load(), LastOut: s.lastOut.Load(),
	}
}

// Learn sets the counts of what was carried to those of f, which another node
// counted. It is for a node that carries nothing itself.
func (s *Slot) Learn(f Facts) {
	s.packetsIn.Store(f.PacketsIn)
	s.bytesIn.Store(f.BytesIn)
	s.packetsOut.Store(f.PacketsOut)
	s.bytesOut.Store(f.BytesOut)
}

// CountIn adds packets that were delivered. now is in Unix seconds.
func (s *Slot) CountIn(packets, bytes uint64, now int64) {
	s.packetsIn.Add(packets)
	s.bytesIn.Add(bytes)
	s.lastIn.Store(now)
}

// CountOut adds packets that were sent. now is in Unix seconds.
func (s *Slot) CountOut(packets, bytes uint64, now int64) {
	s.packetsOut.Add(packets)
	s.bytesOut.Add(bytes)
	s.lastOut.Store(now)
}

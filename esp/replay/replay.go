// Package replay is the anti-replay window of one inbound ESP SA (RFC 4303
// section 3.4.3), with the inference of the upper half of extended sequence
// numbers (RFC 4303 appendix A2). It is pure: no I/O, no clock, no lock.
//
// The state lives in memory that the caller provides, so that it can sit in a
// file that outlives the process. It is a ring of 64-bit words with one spare
// word, as RFC 6479 describes, so nothing is ever shifted.
package replay

import "sync/atomic"

// The sizes of a window, in packets.
const (
	MinSize = 64
	MaxSize = 4096
)

// Words returns the number of ring words that a window of size packets needs.
// The size is rounded up to a multiple of 64; 0 means no window at all.
func Words(size uint32) int {
	if size == 0 {
		return 0
	}
	return int((size+63)/64) + 1
}

// Window is a view of one window. It is not safe for concurrent use; its words
// are written atomically only so that another process may read them.
type Window struct {
	top  *atomic.Uint64 // highest sequence number accepted so far
	ring []atomic.Uint64
	size uint64 // packets; 0: everything passes
}

// New returns a view of the window whose state is top and ring. The size must
// be 0 or between MinSize and MaxSize; ring holds at least Words(size) words.
// All zero is the state of a new SA.
func New(top *atomic.Uint64, ring []atomic.Uint64, size uint32) Window {
	n := Words(size)
	return Window{top: top, ring: ring[:n], size: uint64(max(n-1, 0)) * 64}
}

// Copy returns a window of its own in the same state.
func (w *Window) Copy() Window {
	c := Window{top: new(atomic.Uint64), ring: make([]atomic.Uint64, len(w.ring)), size: w.size}
	c.top.Store(w.top.Load())
	for i := range w.ring {
		c.ring[i].Store(w.ring[i].Load())
	}
	return c
}

// Top returns the highest sequence number accepted so far.
func (w *Window) Top() uint64 { return w.top.Load() }

// Infer returns the full sequence number that low stands for. Without extended
// sequence numbers that is low itself.
func (w *Window) Infer(low uint32, extended bool) uint64 {
	if !extended {
		return uint64(low)
	}
	// An SA whose check is switched off still needs its upper half (RFC 4303
	// section 3.4.3), so a span of MinSize stands in for the window.
	span := max(w.size, MinSize)
	top := w.top.Load()
	tl, th := uint32(top), top>>32
	bottom := tl - uint32(span) + 1
	if uint64(tl) >= span-1 { // case A: the window lies in one subspace
		if low >= bottom {
			return th<<32 | uint64(low)
		}
		return (th+1)<<32 | uint64(low)
	}
	// Case B: the window spans two subspaces. The first one has none before.
	if low >= bottom && th > 0 {
		return (th-1)<<32 | uint64(low)
	}
	return th<<32 | uint64(low)
}

// Check reports whether a packet with this sequence number may be new. It
// changes nothing; call it before the packet is authenticated.
func (w *Window) Check(seq uint64) bool {
	if w.size == 0 {
		return true
	}
	top := w.top.Load()
	switch {
	case seq == 0:
		return false
	case seq > top:
		return true
	case top-seq >= w.size:
		return false
	}
	return w.word(seq).Load()&bit(seq) == 0
}

// Commit marks an authenticated packet as seen, and reports false where it had
// been seen already.
func (w *Window) Commit(seq uint64) bool {
	if !w.Check(seq) {
		return false
	}
	w.raise(seq)
	if w.size > 0 {
		at := w.word(seq)
		at.Store(at.Load() | bit(seq))
	}
	return true
}

// Advance is for a successor that does not know which packets its predecessor
// saw: every number up to and including seq counts as seen. It never moves the
// window back.
func (w *Window) Advance(seq uint64) {
	w.raise(seq)
	for i := range w.ring {
		w.ring[i].Store(^uint64(0))
	}
	// The bits above the top in its own word belong to packets yet to come;
	// the spare word is cleared when the top reaches it.
	if w.size > 0 {
		top := w.top.Load()
		w.word(top).Store(bit(top)<<1 - 1)
	}
}

// raise moves the top to seq and clears the words that come into the window.
// The top moves first: a process that dies in between leaves bits set that
// should be clear, which refuses a good packet but never accepts an old one.
func (w *Window) raise(seq uint64) {
	top := w.top.Load()
	if seq <= top {
		return
	}
	w.top.Store(seq)
	if w.size == 0 {
		return
	}
	for n, i := min(seq/64-top/64, uint64(len(w.ring))), uint64(0); i < n; i++ {
		w.ring[(seq/64-i)%uint64(len(w.ring))].Store(0)
	}
}

// Reset returns the window to the state of a new SA.
func (w *Window) Reset() {
	w.top.Store(0)
	for i := range w.ring {
		w.ring[i].Store(0)
	}
}

func (w *Window) word(seq uint64) *atomic.Uint64 {
	return &w.ring[seq/64%uint64(len(w.ring))]
}

func bit(seq uint64) uint64 { return 1 << (seq % 64) }

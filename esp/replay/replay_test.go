package replay

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

func newWindow(size uint32) *Window {
	w := New(new(atomic.Uint64), make([]atomic.Uint64, Words(size)), size)
	return &w
}

// model is the window as a set: obviously right, and slow.
type model struct {
	size, top uint64
	seen      map[uint64]bool
}

func (m *model) commit(seq uint64) bool {
	if seq == 0 || m.seen[seq] || m.top >= m.size && seq <= m.top-m.size {
		return false
	}
	m.seen[seq] = true
	m.top = max(m.top, seq)
	return true
}

func TestAgainstModel(t *testing.T) {
	for _, size := range []uint32{64, 128, 1024, 4096} {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, uint64(size)))
			w, m := newWindow(size), &model{size: uint64(size), seen: map[uint64]bool{}}
			for i := range 20_000 {
				var seq uint64
				switch r.IntN(10) {
				case 0:
					seq = r.Uint64N(m.top + 1)
				case 1:
					seq = m.top + r.Uint64N(3*uint64(size))
				default:
					seq = m.top + 5 - min(m.top+5, r.Uint64N(uint64(size)+10))
				}
				if got, want := w.Check(seq), m.size == 0 || peek(m, seq); got != want {
					t.Fatalf("size %d seed %d step %d: Check(%d) = %v at top %d, want %v", size, seed, i, seq,
						got, m.top, want)
				}
				if got, want := w.Commit(seq), m.commit(seq); got != want {
					t.Fatalf("size %d seed %d step %d: Commit(%d) = %v at top %d, want %v", size, seed, i, seq,
						got, m.top, want)
				}
			}
		}
	}
}

func peek(m *model, seq uint64) bool {
	return seq != 0 && !m.seen[seq] && !(m.top >= m.size && seq <= m.top-m.size)
}

func TestAdvance(t *testing.T) {
	for _, to := range []uint64{1, 63, 64, 100, 127, 128, 5000} {
		w := newWindow(128)
		w.Commit(3)
		w.Advance(to)
		for seq := range to + 1 {
			if w.Check(seq) && (seq > 3 || to >= 3) {
				t.Errorf("after Advance(%d), %d passes", to, seq)
			}
		}
		first := max(to, 3) + 1
		for seq := first; seq < first+1000; seq++ {
			if !w.Commit(seq) {
				t.Fatalf("after Advance(%d), %d does not pass", to, seq)
			}
			if w.Commit(seq) {
				t.Fatalf("after Advance(%d), %d passes twice", to, seq)
			}
		}
	}
}

// TestInfer walks over the turns of the lower half with packets that are late
// or early.
func TestInfer(t *testing.T) {
	for _, size := range []uint32{0, 64, 1024, 4096} {
		span := uint64(max(size, MinSize))
		for _, top := range []uint64{0, 1, span - 2, span - 1, span, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<32 + span/2,
			1<<32 + span - 2, 1<<32 + span - 1, 1<<32 + span, 7<<32 + 5, 7<<32 - 5} {
			w := newWindow(size)
			w.raise(top)
			for _, d := range []int64{-int64(span) + 1, -int64(span) / 2, -1, 0, 1, 100, 1 << 20, 1 << 30} {
				seq := top + uint64(d)
				if d < 0 && top < uint64(-d) {
					continue
				}
				if got := w.Infer(uint32(seq), true); got != seq {
					t.Errorf("window %d, top %#x: Infer(%#x) = %#x, want %#x", size, top, uint32(seq), got, seq)
				}
			}
		}
	}
	if w := newWindow(64); w.Infer(5, false) != 5 {
		t.Error("a short sequence number was extended")
	}
}

func TestSwitchedOff(t *testing.T) {
	w := newWindow(0)
	first, again := w.Commit(5), w.Commit(5)
	if !first || !again || w.Top() != 5 || w.size != 0 {
		t.Error("a window of 0 refused something")
	}
	w.Reset()
	if w.Top() != 0 {
		t.Error("Reset left the top")
	}
}

func TestAllocs(t *testing.T) {
	w := newWindow(1024)
	seq := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		seq++
		s := w.Infer(uint32(seq), true)
		w.Check(s)
		w.Commit(s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCommit(b *testing.B) {
	w := newWindow(1024)
	for i := uint64(1); b.Loop(); i++ {
		w.Check(i)
		w.Commit(i)
	}
}

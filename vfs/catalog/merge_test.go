package catalog

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func sum(text string) Sum { return sha256.Sum256([]byte(text)) }

// side is one of two disks in memory: what its files hold beside what it knows of them.
type side struct {
	*Catalog
	unit  string
	files map[string]string
}

func newSide(unit string, disk uint64) *side { return &side{New(disk), unit, map[string]string{}} }

// do changes a path: text is its content, "/" makes a directory, "" deletes it.
func (s *side) do(p, text string, epoch uint64) {
	ch := Change{Path: p, Kind: KindFile, Sum: sum(text), Size: int64(len(text)), Epoch: epoch}
	switch text {
	case "":
		ch = Change{Path: p, Kind: KindGone, Epoch: epoch}
		delete(s.files, p)
	case "/":
		ch = Change{Path: p, Kind: KindDirectory, Epoch: epoch}
		s.files[p] = text
	default:
		s.files[p] = text
	}
	e := s.Changed(ch)
	s.Place(&e)
	s.Note(e)
}

// hear takes all that the other side has.
func (s *side) hear(o *side) {
	for _, e := range o.All() {
		d := s.Merge(&e)
		if d.Beside {
			ours, _ := s.Find(e.Path)
			to := s.Beside(e.Path, s.unit, moment)
			kept := s.Changed(Change{Path: to, Kind: KindFile, Sum: ours.Sum, Size: ours.Size, Kept: true})
			s.Place(&kept)
			s.Note(kept)
			s.files[to] = s.files[e.Path]
		}
		switch d.Action {
		case ActionTake:
			s.files[e.Path] = o.files[e.Path]
		case ActionMake:
			s.files[e.Path] = "/"
		case ActionRemove:
			delete(s.files, e.Path)
		case ActionNone:
		}
		if d.Noted {
			s.Place(&d.Entry)
			s.Note(d.Entry)
		}
	}
}

// TestLateEntry: a file that was deleted stays so, also where the disk that has deleted it hears
// afterwards, late, what the other one had before that file.
func TestLateEntry(t *testing.T) {
	for _, first := range []int{0, 1} {
		a, b := newSide("primary", 1), newSide("secondary", 2)
		a.do("/x", "old", 1)
		late, _ := a.Find("/x")
		b.do("/x", "new", 3)
		a.hear(b) // it keeps the old one beside
		b.do("/x", "", 3)
		d := b.Merge(&late)
		if d.Action != ActionTake || !d.Noted {
			t.Fatalf("got %+v", d)
		}
		b.files["/x"] = "old"
		b.Place(&d.Entry)
		b.Note(d.Entry)
		for i := range 4 {
			if i%2 == first {
				a.hear(b)
			} else {
				b.hear(a)
			}
		}
		if a.files["/x"] != "old" || b.files["/x"] != "old" {
			t.Errorf("one has %q, the other one %q", a.files, b.files)
		}
	}
}

// TestMerge: what becomes of a path that one unit has, and the other one has, too.
func TestMerge(t *testing.T) {
	const beside = " /x~%s-2026-11-30T18:23:09.000=%s"
	tests := []struct {
		name string
		play func(a, b *side, both func())
		want string
	}{
		{"one has it", func(a, _ *side, _ func()) { a.do("/x", "a", 1) }, "/x=a"},
		{"changed on one", func(a, _ *side, both func()) {
			a.do("/x", "a", 1)
			both()
			a.do("/x", "aa", 1)
		}, "/x=aa"},
		{"deleted on one", func(a, _ *side, both func()) {
			a.do("/x", "a", 1)
			both()
			a.do("/x", "", 1)
		}, ""},
		{"deleted on one that was not active last", func(a, b *side, both func()) {
			a.do("/x", "a", 1)
			both()
			a.do("/x", "", 1)
			b.do("/y", "b", 2)
		}, "/y=b"},
		{"deleted and made again", func(a, _ *side, both func()) {
			a.do("/x", "a", 1)
			both()
			a.do("/x", "", 1)
			a.do("/x", "a", 1)
		}, "/x=a"},
		{"the same made apart", func(a, b *side, _ func()) {
			a.do("/x", "same", 1)
			b.do("/x", "same", 2)
		}, "/x=same"},
		{"changed apart: the higher epoch has the name", func(a, b *side, both func()) {
			a.do("/x", "base", 1)
			both()
			a.do("/x", "a", 1)
			b.do("/x", "b", 2)
		}, "/x=b" + fmt.Sprintf(beside, "primary", "a")},
		{"changed apart, the other way round", func(a, b *side, both func()) {
			a.do("/x", "base", 1)
			both()
			b.do("/x", "b", 2)
			a.do("/x", "a", 3)
		}, "/x=a" + fmt.Sprintf(beside, "secondary", "b")},
		{"deleted and changed apart", func(a, b *side, both func()) {
			a.do("/x", "base", 1)
			both()
			a.do("/x", "a", 1)
			b.do("/x", "", 2)
		}, "/x=a"},
		{"a file and a directory apart", func(a, b *side, _ func()) {
			a.do("/x", "a", 2)
			b.do("/x", "/", 1)
		}, "/x=/" + fmt.Sprintf(beside, "primary", "a")},
		{"a file becomes a directory", func(a, _ *side, both func()) {
			a.do("/x", "a", 1)
			both()
			a.do("/x", "", 1)
			a.do("/x", "/", 1)
		}, "/x=/"},
		{"changed once here, twice there, before anybody heard", func(a, b *side, both func()) {
			a.do("/x", "base", 1)
			both()
			b.do("/x", "b", 2)
			both()
			b.do("/x", "bb", 2)
			b.do("/x", "bbb", 2)
		}, "/x=bbb"},
	}
	for _, tt := range tests {
		for _, turned := range []bool{false, true} {
			t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
				a, b := newSide("primary", 1), newSide("secondary", 2)
				both := func() {
					for range 3 {
						if turned {
							b.hear(a)
						}
						a.hear(b)
						b.hear(a)
					}
				}
				tt.play(a, b, both)
				both()
				for _, s := range []*side{a, b} {
					if got := listing(s.files); got != tt.want {
						t.Errorf("%s: got %q, want %q", s.unit, got, tt.want)
					}
				}
				heads := [2]uint64{a.Head(), b.Head()}
				if both(); heads != [2]uint64{a.Head(), b.Head()} {
					t.Errorf("they go on telling each other: %v, now %d, %d", heads, a.Head(), b.Head())
				}
			})
		}
	}
}

// TestMergeOfBefore: files without a history are known by the contents that were replaced.
func TestMergeOfBefore(t *testing.T) {
	a, b := newSide("primary", 1), newSide("secondary", 2)
	b.do("/x", "old", 0)
	b.do("/y", "old", 0)
	for p, text := range map[string]string{"/x": "new", "/y": ""} {
		a.do(p, "old", 0)
		a.do(p, text, 0)
		e, _ := a.Find(p)
		e.Seen = History{e.Version}
		a.Note(e)
	}
	for range 2 {
		a.hear(b)
		b.hear(a)
	}
	for _, s := range []*side{a, b} {
		if got := listing(s.files); got != "/x=new" {
			t.Errorf("%s: got %q", s.unit, got)
		}
	}
}

// TestMergeOrder: whoever hears of whom first, and how often, both have the same in the end.
func TestMergeOrder(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		sides := [2]*side{newSide("primary", 1), newSide("secondary", 2)}
		for n := range 60 {
			i := r.IntN(2)
			p := []string{"/x", "/y"}[r.IntN(2)]
			switch {
			case r.IntN(4) == 0:
				sides[i].hear(sides[1-i])
			case r.IntN(4) == 0 && sides[i].files[p] != "":
				sides[i].do(p, "", uint64(n/10*2+i))
			default:
				sides[i].do(p, fmt.Sprint(n), uint64(n/10*2+i))
			}
		}
		for range 3 {
			sides[0].hear(sides[1])
			sides[1].hear(sides[0])
		}
		if a, b := listing(sides[0].files), listing(sides[1].files); a != b {
			t.Fatalf("seed %d: %q and %q", seed, a, b)
		}
	}
}

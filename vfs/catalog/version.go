package catalog

import (
	"cmp"
	"slices"

	"github.com/warrenvpn/warren/internal/record"
)

// maxSeen is how many writers a history names. Beyond it the oldest is forgotten: a copy
// that only that one knows counts as made apart, and is kept.
const maxSeen = 16

// Version is one change of one file: which disk made it, in which epoch of its failover
// group, and the position in that disk's catalogue. No two changes of a file have the same
// one: one node is active in an epoch, and positions of a disk only grow.
type Version struct {
	Epoch    uint64 // 0: nobody was active with it, or there is no failover group
	Disk     uint64
	Position uint64
}

// Compare orders versions: by epoch, then by position, then by disk. Of two changes that
// were made apart the higher one keeps the name.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Epoch, w.Epoch), cmp.Compare(v.Position, w.Position), cmp.Compare(v.Disk, w.Disk))
}

func (v *Version) fields(f *record.Fields) {
	record.Number(f, 1, &v.Epoch)
	record.Number(f, 2, &v.Disk)
	record.Number(f, 3, &v.Position)
}

// History is the changes that a file is the result of: of each writer (a disk in an epoch)
// the last one, which stands for those before it. The highest comes first.
type History []Version

// Has reports whether the history has a change.
func (h History) Has(v Version) bool {
	for _, w := range h {
		if w.Epoch == v.Epoch && w.Disk == v.Disk {
			return w.Position >= v.Position
		}
	}
	return false
}

// covers reports whether the history has all changes of another one.
func (h History) covers(o History) bool {
	return !slices.ContainsFunc(o, func(v Version) bool { return !h.Has(v) })
}

// With returns the history with the changes of another one, too.
func (h History) With(more ...Version) History {
	out := slices.Clone(h)
	for _, v := range more {
		i := slices.IndexFunc(out, func(w Version) bool { return w.Epoch == v.Epoch && w.Disk == v.Disk })
		if i < 0 {
			out = append(out, v)
		} else if out[i].Position < v.Position {
			out[i] = v
		}
	}
	slices.SortFunc(out, func(a, b Version) int { return b.Compare(a) })
	return out[:min(len(out), maxSeen)]
}

// Epoch returns the highest epoch in it.
func (h History) Epoch() uint64 {
	if len(h) == 0 {
		return 0
	}
	return h[0].Epoch
}

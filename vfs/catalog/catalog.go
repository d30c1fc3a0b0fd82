// Package catalog is what a disk knows of its files: of every path which version it has,
// what that is the result of, and which versions were deleted (tombstones). It decides what
// becomes of a path of which another disk says something (Merge), so that two disks which
// hear of each other have the same files in the end: no version that somebody was told of is
// lost, none that was deleted comes back. Neither clocks nor the presence of a file decide.
//
// It is pure: it does no I/O, and knows no content. Package vfs makes its entries durable
// and does what it decides. A Catalog is not safe for concurrent use.
package catalog

import (
	"cmp"
	"slices"
)

// The bounds of a catalogue.
const (
	// MaxGone bounds tombstones. Beyond it the oldest is forgotten, and what was deleted
	// may come back from the other unit, if that was away since then.
	MaxGone = 4096
	// KeepGone is how many tombstones are kept that the other unit has, too.
	KeepGone = 256
)

// Catalog is what is known of all paths of one disk.
type Catalog struct {
	disk        uint64
	incarnation Incarnation
	head        uint64 // the last position that was given
	entries     map[string]*Entry
	order       []*Entry // by position; those that were replaced are passed over
	gone        int      // tombstones
	kept        int      // files that were put beside others
}

// New returns the catalogue of a disk that has no files. Disk names it among all disks.
func New(disk uint64) *Catalog { return &Catalog{disk: disk, entries: map[string]*Entry{}} }

// Disk returns the name of the disk.
func (c *Catalog) Disk() uint64 { return c.disk }

// Head returns the last position that was given.
func (c *Catalog) Head() uint64 { return c.head }

// Skip passes positions over: those that may have been told to somebody and were not
// kept are never given again.
func (c *Catalog) Skip(n uint64) { c.head += n }

// Len returns how many entries there are.
func (c *Catalog) Len() int { return len(c.entries) }

// Gone returns how many tombstones there are.
func (c *Catalog) Gone() int { return c.gone }

// Kept returns how many files were put beside others and are still there.
func (c *Catalog) Kept() int { return c.kept }

// Find returns what is known of a path.
func (c *Catalog) Find(path string) (Entry, bool) {
	e, ok := c.entries[path]
	if !ok {
		return Entry{}, false
	}
	return *e, true
}

// All returns all entries, by position.
func (c *Catalog) All() []Entry { return c.Since(0, len(c.entries)) }

// Since returns the entries behind a position, by position: at most so many.
func (c *Catalog) Since(position uint64, most int) []Entry {
	i, found := slices.BinarySearchFunc(c.order, position, func(e *Entry, p uint64) int {
		return cmp.Compare(e.Position, p)
	})
	if found {
		i++
	}
	var out []Entry
	for _, e := range c.order[i:] {
		if len(out) == most {
			break
		}
		if c.entries[e.Path] == e {
			out = append(out, *e)
		}
	}
	return out
}

// Change is what this disk does to a path.
type Change struct {
	Path string
	Kind Kind
	Size int64
	Sum  Sum
	Kept bool
	// Epoch is the one of the failover group in which the change is made; 0 where there
	// is none.
	Epoch uint64
	// Apart: whoever made the change is not known to have seen what was there. Then it
	// gives way to what somebody else has made of that.
	Apart bool
}

// Changed returns the entry for a change. It changes nothing: Place and Note do.
func (c *Catalog) Changed(ch Change) Entry {
	e := Entry{Path: ch.Path, Kind: ch.Kind, Size: ch.Size, Sum: ch.Sum, Kept: ch.Kept,
		Version: Version{Epoch: ch.Epoch, Disk: c.disk}}
	if was, ok := c.entries[ch.Path]; ok && !ch.Apart {
		e.Seen, e.Had = was.Seen, was.Had
		if was.Kind == KindFile && (e.Kind != KindFile || e.Sum != was.Sum) {
			e.Had = had(e.Had, was.Sum)
		}
	}
	return e
}

// Place gives entries that are to be noted together their positions, and versions to those
// that are changes of this disk. The entries are to be made durable, and then noted.
func (c *Catalog) Place(list ...*Entry) {
	for i, e := range list {
		e.Position = c.head + 1 + uint64(i)
		if e.Version.Disk == c.disk && e.Version.Position == 0 {
			e.Version.Position = e.Position
			e.Seen = e.Seen.With(e.Version)
		}
	}
}

// Note makes entries those of their paths, in the order of their positions.
func (c *Catalog) Note(list ...Entry) {
	for _, e := range list {
		c.remove(e.Path)
		c.entries[e.Path] = &e
		c.head = max(c.head, e.Position)
		c.order = append(c.order, &e)
		switch {
		case e.Kind == KindGone:
			c.gone++
		case e.Kept:
			c.kept++
		}
	}
	c.tidy()
}

// Forget removes what is known of a path: as if it had never been there.
func (c *Catalog) Forget(path string) { c.remove(path) }

func (c *Catalog) remove(path string) {
	was, ok := c.entries[path]
	if !ok {
		return
	}
	delete(c.entries, path)
	switch {
	case was.Kind == KindGone:
		c.gone--
	case was.Kept:
		c.kept--
	}
}

// tidy takes entries that were replaced out of the order, now and then.
func (c *Catalog) tidy() {
	if len(c.order) > 64 && len(c.order) > 2*len(c.entries) {
		c.order = slices.DeleteFunc(c.order, func(e *Entry) bool { return c.entries[e.Path] != e })
	}
}

// Excess returns the tombstones that are to be forgotten, the oldest first: those that
// the other unit has up to a position, as far as they are more than keep, and of all
// others those that are more than most.
func (c *Catalog) Excess(acknowledged uint64, keep, most int) (settled, lost []string) {
	n := c.gone
	if n <= keep {
		return nil, nil
	}
	for _, e := range c.order {
		if c.entries[e.Path] != e || e.Kind != KindGone {
			continue
		}
		switch {
		case e.Position <= acknowledged && n > keep:
			settled = append(settled, e.Path)
		case n > most:
			lost = append(lost, e.Path)
		default:
			return settled, lost
		}
		n--
	}
	return settled, lost
}

// Restamp notes what the file of a path looks like. Nothing else changes.
func (c *Catalog) Restamp(path, stamp string) {
	if e, ok := c.entries[path]; ok {
		e.Stamp = stamp
	}
}

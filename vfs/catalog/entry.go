package catalog

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/internal/record"
)

const (
	// MaxHad is how many of its former contents an entry knows.
	MaxHad = 4
	// maxPath bounds a path in an entry, in bytes.
	maxPath = 1024
)

// Kind is what a path stands for.
type Kind uint8

// The kinds. Gone is a tombstone: what stood there was deleted.
const (
	KindFile Kind = 1 + iota
	KindDirectory
	KindGone
)

// String returns the kind as a word.
func (k Kind) String() string {
	switch k {
	case KindFile:
		return "file"
	case KindDirectory:
		return "directory"
	case KindGone:
		return "gone"
	}
	return "unknown kind"
}

// Sum is the SHA-256 of a content.
type Sum [32]byte

// String returns the sum in lower-case hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// ParseSum reads what String returns.
func ParseSum(text string) (Sum, bool) {
	var s Sum
	b, err := hex.DecodeString(text)
	return s, copy(s[:], b) == len(s) && err == nil && len(b) == len(s)
}

// Entry is what a disk knows of one path. It is a value: nobody changes its slices.
type Entry struct {
	Path    string // absolute and clean
	Kind    Kind
	Size    int64 // bytes of a file
	Sum     Sum   // of a file
	Version Version
	Seen    History // what Version is the result of, with Version
	// Had are contents that the path had before, the newest last: what this program and
	// the one before it know of files without a history.
	Had []Sum
	// Kept says that the file was put beside another one, whose name it had.
	Kept bool
	// Position is the place of the entry in the catalogue that it is from.
	Position uint64

	// What follows is of this disk, and never leaves it.

	// Stamp is what the file looked like when its sum was computed.
	Stamp string
	// Aside is the name that the content has until it is put in its place; "": it is
	// there. Who finds both after a crash has not made the change.
	Aside string

	Unknown record.Unknown // fields of a newer program
}

// Alive reports whether there is something.
func (e *Entry) Alive() bool { return e.Kind == KindFile || e.Kind == KindDirectory }

// Same reports whether two entries stand for the same content.
func (e *Entry) Same(o *Entry) bool {
	return e.Kind == o.Kind && (e.Kind != KindFile || e.Sum == o.Sum && e.Size == o.Size)
}

// had returns the contents that a path had, with one more.
func had(list []Sum, s Sum) []Sum {
	out := append(slices.DeleteFunc(slices.Clone(list), func(o Sum) bool { return o == s }), s)
	return out[max(0, len(out)-MaxHad):]
}

// shared lists the fields that disks tell each other.
func (e *Entry) shared(f *record.Fields) {
	f.Text(1, &e.Path)
	record.Number(f, 2, &e.Kind)
	size := uint64(e.Size)
	record.Number(f, 3, &size)
	e.Size = int64(size)
	f.Fixed(4, e.Sum[:])
	f.Record(5, e.Version.fields)
	record.List(f, 6, (*[]Version)(&e.Seen), maxSeen, func(f *record.Fields, v *Version) { v.fields(f) })
	record.List(f, 7, &e.Had, MaxHad, func(f *record.Fields, s *Sum) { f.Fixed(1, s[:]) })
	f.Flag(8, &e.Kept)
	record.Number(f, 9, &e.Position)
	f.Require(validPath(e.Path) && e.Kind != 0 && e.Size >= 0 && e.Seen.Has(e.Version) && e.Version.Position > 0)
}

// local lists the fields of an entry as its own disk keeps it.
func (e *Entry) local(f *record.Fields) {
	f.Keep(&e.Unknown)
	e.shared(f)
	f.Text(20, &e.Stamp)
	f.Text(21, &e.Aside)
}

// told lists the fields of an entry as the other disk is told it.
func (e *Entry) told(f *record.Fields) {
	f.Keep(&e.Unknown)
	e.shared(f)
}

// validPath reports whether p is absolute and clean, and nothing in it leads out.
func validPath(p string) bool {
	if len(p) < 2 || len(p) > maxPath || p[0] != '/' || strings.ContainsRune(p, 0) {
		return false
	}
	for e := range strings.SplitSeq(p[1:], "/") {
		if e == "" || e == "." || e == ".." {
			return false
		}
	}
	return true
}

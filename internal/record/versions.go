package record

import "fmt"

// Versions is a range of versions of a protocol that a program speaks, both ends
// included. Two neighbouring programs have one in common, so that the nodes of a
// pair can be replaced one after the other.
type Versions struct{ Oldest, Newest uint8 }

// Common returns the newest version that both speak; ok is false where there is
// none.
func (v Versions) Common(w Versions) (version uint8, ok bool) {
	version = min(v.Newest, w.Newest)
	return version, version >= max(v.Oldest, w.Oldest)
}

// IsValid reports whether there is a version in the range; none is 0.
func (v Versions) IsValid() bool { return v.Oldest > 0 && v.Oldest <= v.Newest }

// String returns "2", or "2 to 3".
func (v Versions) String() string {
	if v.Oldest == v.Newest {
		return fmt.Sprint(v.Newest)
	}
	return fmt.Sprintf("%d to %d", v.Oldest, v.Newest)
}

// Fields lists the fields of the range.
func (v *Versions) Fields(f *Fields) {
	Number(f, 1, &v.Oldest)
	Number(f, 2, &v.Newest)
	f.Require(v.IsValid())
}

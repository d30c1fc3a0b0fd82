package vfs

import (
	"fmt"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// Manifest is everything that a volume holds, in the form of the program before this one,
// which knows former contents and no versions.
type Manifest struct {
	// Version is another whenever anything in the volume has changed. Versions of two
	// volumes say nothing of each other.
	Version string
	Files   []Info // with checksums; a directory before what is in it
	Gone    []Gone // what files were deleted, and what contents replaced
}

// Manifest returns everything that the volume is known to hold.
func (v *Volume) Manifest() Manifest {
	v.changing.Lock()
	defer v.changing.Unlock()
	m := Manifest{Version: v.versionLocked()}
	if v.index == nil {
		return m
	}
	for _, e := range v.index.All() {
		switch e.Kind {
		case catalog.KindFile:
			m.Files = append(m.Files, Info{Path: e.Path, Size: e.Size, SHA256: e.Sum.String()})
		case catalog.KindDirectory:
			m.Files = append(m.Files, Info{Path: e.Path, Dir: true})
		case catalog.KindGone:
			m.Gone = append(m.Gone, Gone{Path: e.Path})
		}
		for _, sum := range e.Had {
			m.Gone = append(m.Gone, Gone{Path: e.Path, SHA256: sum.String()})
		}
	}
	sortByPath(m.Files)
	return m
}

// Version is the Version of a Manifest.
func (v *Volume) Version() string {
	v.changing.Lock()
	defer v.changing.Unlock()
	return v.versionLocked()
}

func (v *Volume) versionLocked() string {
	if v.index == nil {
		return ""
	}
	return fmt.Sprintf("%x-%d", v.index.session, v.index.Head())
}

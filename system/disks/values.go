package disks

import (
	"time"

	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
)

// File is one file or directory, as an operator sees it.
type File struct {
	Name     string // in a Directory with a name the last element, elsewhere the whole
	Size     int64  // in bytes; 0 for a directory
	Modified time.Time
	Dir      bool
	SHA256   string // lower-case hexadecimal, where the whole file was read
	// Pending says of a file that was just written: the standby unit is not known
	// to have it yet. It is lost if this unit is.
	Pending bool
}

// Directory is what a directory holds.
type Directory struct {
	Name  string // "" for the list of all volumes
	Files []File
	// What the volume holds, and may hold: 0 means any amount.
	UsedBytes, LimitBytes int64
	UsedFiles, LimitFiles int64
	ReadOnly              bool
	// Pending says that something on the volume is not known to be on the standby
	// unit yet.
	Pending bool
	// Kept is how many files on the volume are kept beside others, because both units
	// had changed them.
	Kept int
}

// Version is the state of disk0: of one context.
type Version struct {
	Context string
	Version string // another after every change; without meaning elsewhere
	Standby bool
	// Follows is the version of the active unit's disk that this one, of a standby
	// context, has all of; "" for none that is known. An older program says it.
	Follows string

	Session uint64 // names the use of the catalogue that positions are of; 0 from an older program
	Head    uint64 // the position of the last change
	Taken   Taken  // what this disk has of the other unit's
	Kept    int    // files that are kept beside others: both units had changed them

	Incarnation catalog.Incarnation // which disk of its name it is; nothing from an older program
	Blank       bool                // nothing is on it, and nothing was
}

// Taken says how far one disk has what the other one has.
type Taken struct {
	Session  uint64
	Position uint64
	Lacks    []string // the paths that it has not, in spite of that
}

// Manifest is everything on disk0: of a context, as an older program wants to know it.
type Manifest struct {
	Context string
	Version string
	Standby bool
	// Files have checksums, and are in order: a directory comes before what is in it.
	Files []vfs.Info
	// Gone is what was deleted or replaced here: nothing else is deleted by the other
	// unit.
	Gone []vfs.Gone
}

package disks

import (
	"time"

	"github.com/warrenvpn/warren/vfs"
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
}

// Version is the state of disk0: of one context.
type Version struct {
	Context string
	Version string // another after every change; without meaning elsewhere
	Standby bool
	// Follows is the version of the active unit's disk that this one, of a standby
	// context, has all of; "" for none that is known.
	Follows string
}

// Manifest is everything on disk0: of a context.
type Manifest struct {
	Context string
	Version string
	Standby bool
	// Files have checksums, and are in order: a directory comes before what is in it.
	Files []vfs.Info
	// Gone is what was deleted or replaced here: nobody else deletes anything
	// because it is missing.
	Gone []vfs.Gone
}

package api

import (
	"context"
	"io"
	"time"

	"github.com/warrenvpn/warren/system/fault"
)

// Files is the part of a Backend that answers for files. A name is
// "context:disk0:/path", "context:label:/path" for shared storage as a context
// sees it, and "label:/path" for the same as the system does, which may change
// it. Files checks names: callers pass on what an operator typed.
type Files interface {
	// ListFiles lists a directory, or one file; with "" all volumes, by their
	// whole names.
	ListFiles(ctx context.Context, name string) (Directory, error)

	// OpenFile returns a file's content; the caller closes it.
	OpenFile(ctx context.Context, name string) (FileInfo, io.ReadCloser, error)

	// WriteFile makes or replaces a file, with the directories that it needs.
	// The file has all of the content or is as it was. Nothing is read from r
	// before it is known that size bytes fit.
	WriteFile(ctx context.Context, name string, size int64, r io.Reader) (FileInfo, error)

	// DeleteFile deletes a file or an empty directory.
	DeleteFile(ctx context.Context, name string) (Deleted, error)

	// VerifyFile reads a whole file and returns its checksum.
	VerifyFile(ctx context.Context, name string) (FileInfo, error)

	// DiskVersions tells in which state the disks are. With wake the disks of
	// standby contexts are compared with the other unit's at once.
	DiskVersions(ctx context.Context, wake bool) (Versions, error)

	// DiskManifest returns everything on disk0: of a context, for a unit whose program
	// knows no DiskNews.
	DiskManifest(ctx context.Context, name string) (Manifest, error)

	// DiskNews returns what has changed on disk0: of a context behind a position of a
	// session, or everything where the session is another one, in the form of
	// catalog.AppendNews.
	DiskNews(ctx context.Context, name string, session, since uint64) ([]byte, error)

	// OpenContent returns a file from an offset on, if it has the content with that
	// checksum; the caller closes it. Size is that of the whole file.
	OpenContent(ctx context.Context, name, sha256 string, offset int64) (FileInfo, io.ReadCloser, error)

	// CopyFile copies a file as WriteFile would, and calls progress, which may
	// be nil, now and then.
	CopyFile(ctx context.Context, which Copy, progress func(done, total int64)) (FileInfo, error)
}

// FileInfo is one file or directory.
type FileInfo struct {
	Name     string    `json:"name"` // in a Directory with a name the last element, elsewhere the whole
	Size     int64     `json:"size"` // in bytes; 0 for a directory
	Modified time.Time `json:"modified,omitzero"`
	Dir      bool      `json:"dir,omitempty"`
	SHA256   string    `json:"sha256,omitempty"` // lower-case hexadecimal, where the whole file was read
	// Pending says of a file that was just written: the standby unit is not known
	// to have it yet. It is lost if this unit is.
	Pending bool `json:"pending,omitempty"`
}

// Directory answers `dir`.
type Directory struct {
	Name  string     `json:"name"`
	Files []FileInfo `json:"files"`
	// What the volume holds, and may hold: 0 means any amount.
	UsedBytes  int64 `json:"used_bytes"`
	LimitBytes int64 `json:"limit_bytes"`
	UsedFiles  int64 `json:"used_files"`
	LimitFiles int64 `json:"limit_files"`
	ReadOnly   bool  `json:"read_only,omitempty"`
	// Pending says that something on the volume is not known to be on the standby
	// unit yet.
	Pending bool `json:"pending,omitempty"`
	// Kept is how many files on the volume are kept beside others, because both units
	// of a pair had changed them while they were apart.
	Kept int `json:"kept,omitempty"`
}

// Copy says what is copied.
type Copy struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// CopyEvent is one line of the answer to a copy: how far it is, and in the last
// either File or Error.
type CopyEvent struct {
	Done  int64        `json:"done"`
	Total int64        `json:"total"`
	File  *FileInfo    `json:"file,omitempty"`
	Error *fault.Error `json:"error,omitempty"`
}

// Deleted answers a deletion.
type Deleted struct {
	Name string `json:"name"`
	// Pending says that the standby unit is not known to have deleted it, too, yet. It
	// may come back if this unit is lost.
	Pending bool `json:"pending,omitempty"`
}

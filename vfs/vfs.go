// Package vfs is the files of contexts: disk0:, private and counted, and shared
// storage, which a context can read and the system writes.
//
// RootFS is an afero.Fs that nothing leads out of: no "..", symbolic link, hard
// link, device or mount. Quota counts what is in a file system and refuses what
// is too much. Volume puts names, limits and atomic replacement on top, and
// Store knows the volumes of every context. It does I/O, on local files only;
// package fetch gets configurations from servers.
//
// afero brings net/http with it, so a worker must not link this package: what a
// worker needs of a file, the supervisor hands to it.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Bounds of names. They are below the kernel's, so that every name that is
// accepted can also be replaced, which takes a longer one.
const (
	maxName  = 200  // bytes of one element of a path
	maxPath  = 1024 // bytes of a path
	maxDepth = 16   // elements of a path
	maxLabel = 63   // bytes of the name of a context or volume
)

// reserved begins the names of files that are being written. Nobody else can
// use or see them.
const reserved = ".~warren-"

// The modes of what volumes make: everything is for the supervisor's eyes.
const (
	fileMode fs.FileMode = 0o600
	dirMode  fs.FileMode = 0o700
)

// The errors that callers tell apart.
var (
	// ErrEscape is for what would lead out of a file system, or may: "..",
	// links, devices, mounts.
	ErrEscape = errors.New("leads out of its file system")
	// ErrReadOnly is for changes to what can only be read.
	ErrReadOnly = errors.New("is read-only")
	// ErrName is for names that no file can have.
	ErrName = errors.New("is no valid name")
	// ErrVolume is for volumes that are not there.
	ErrVolume = errors.New("no such volume")
	// ErrSize is for content that is shorter or longer than was said.
	ErrSize = errors.New("has not the size that was announced")
	// ErrSum is for content that is not the one that was announced.
	ErrSum = errors.New("has not the checksum that was announced")
)

// QuotaError refuses a change because a volume would become too large.
type QuotaError struct {
	What        string // "bytes" or "files"
	Used, Limit int64
	Wanted      int64 // how much more
}

// Error implements error.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("the storage limit is %d %s: %d are used and %d more do not fit", e.Limit, e.What,
		e.Used, e.Wanted)
}

// ReadFile returns at most limit bytes of a file below a directory, without
// following what may lead out of it.
func ReadFile(dir, name string, limit int64) ([]byte, error) {
	root, err := OpenRootFS(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// bare takes operation and path off an error: whoever returns it names the file
// as its user does.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Limit is how much a file system may hold; 0 means any amount.
type Limit struct {
	Bytes int64 // of content, holes included
	Files int64 // files and directories
}

// Usage is how much it holds.
type Usage struct{ Bytes, Files int64 }

// Quota is an afero.Fs that counts what is in another one, and refuses a change
// that would exceed the limit before it is made: a write that does not fit
// writes nothing. Files that are being replaced count until they are gone.
//
// Others may change the files meanwhile. So before anything is refused, all is
// counted again. It may be used by many goroutines at once.
type Quota struct {
	base afero.Fs

	// mu protects what follows. It is held across the one change that is being
	// accounted for: a size that is read and a growth that follows are one step,
	// and a volume has one tenant only.
	mu     sync.Mutex
	limit  Limit
	used   Usage
	peak   Usage // the most that was used at once
	denied Usage // how often a change was refused for want of either
	change uint64
}

var _ afero.Fs = (*Quota)(nil)

// NewQuota counts what is in base.
func NewQuota(base afero.Fs, limit Limit) (*Quota, error) {
	q := &Quota{base: base, limit: limit}
	return q, q.Scan()
}

// Usage returns what is used, and the limit.
func (q *Quota) Usage() (Usage, Limit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used, q.limit
}

// Peak returns the most that was used at once since the Quota was made, and how
// often a change was refused because there were too many bytes or files.
func (q *Quota) Peak() (peak, denied Usage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.peak, q.denied
}

// Change is another number after every change that was made through the Quota.
// While one is being made it waits.
func (q *Quota) Change() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.change
}

// Fits says whether one so much larger file fits: the error is a QuotaError where it
// does not.
func (q *Quota) Fits(bytes int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	need := Usage{Bytes: bytes}
	if q.exceededLocked(need) == nil {
		return nil
	}
	if err := q.reserveLocked(need); err != nil {
		return err
	}
	q.used.Bytes -= bytes
	return nil
}

// SetLimit changes the limit. What is above it stays, and cannot grow.
func (q *Quota) SetLimit(limit Limit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

// Scan counts everything again.
func (q *Quota) Scan() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.scanLocked()
}

func (q *Quota) scanLocked() error {
	var used Usage
	err := walk(q.base, "/", func(_ string, info fs.FileInfo) error {
		used.Files++
		if info.Mode().IsRegular() {
			used.Bytes += info.Size()
		}
		return nil
	})
	if err == nil {
		q.used = used
		q.markLocked()
	}
	return err
}

// markLocked remembers the most that was used.
func (q *Quota) markLocked() {
	q.peak.Bytes, q.peak.Files = max(q.peak.Bytes, q.used.Bytes), max(q.peak.Files, q.used.Files)
}

// walk calls f for everything below a directory, which it may remove. What leads
// out is passed to f and not entered.
func walk(fsys afero.Fs, dir string, f func(name string, info fs.FileInfo) error) error {
	d, err := fsys.Open(dir)
	if err != nil {
		return err
	}
	list, err := d.Readdir(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, info := range list {
		name := path.Join(dir, info.Name())
		if err := f(name, info); err != nil {
			return err
		}
		if !info.IsDir() {
			continue
		}
		err := walk(fsys, name, f)
		gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrEscape) || errors.Is(err, syscall.ENAMETOOLONG)
		if err != nil && !gone {
			return err
		}
	}
	return nil
}

// reserveLocked books what a change needs, or refuses.
func (q *Quota) reserveLocked(need Usage) error {
	if need.Bytes <= 0 && need.Files <= 0 {
		q.used.Bytes += need.Bytes
		q.used.Files += need.Files
		return nil
	}
	if q.exceededLocked(need) != nil {
		if err := q.scanLocked(); err != nil {
			return err
		}
		if err := q.exceededLocked(need); err != nil {
			if err.What == "files" {
				q.denied.Files++
			} else {
				q.denied.Bytes++
			}
			return err
		}
	}
	q.used.Bytes += need.Bytes
	q.used.Files += need.Files
	q.markLocked()
	return nil
}

// exceededLocked says what is exceeded, nil for nothing.
func (q *Quota) exceededLocked(need Usage) *QuotaError {
	switch {
	case need.Files > 0 && q.limit.Files > 0 && need.Files > q.limit.Files-q.used.Files:
		return &QuotaError{What: "files", Used: q.used.Files, Limit: q.limit.Files, Wanted: need.Files}
	case need.Bytes > 0 && q.limit.Bytes > 0 && need.Bytes > q.limit.Bytes-q.used.Bytes:
		return &QuotaError{What: "bytes", Used: q.used.Bytes, Limit: q.limit.Bytes, Wanted: need.Bytes}
	}
	return nil
}

// charge books need, makes a change, and takes the booking back if that fails.
func (q *Quota) charge(op, name string, need Usage, change func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change++
	if err := q.reserveLocked(need); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	err := change()
	if err != nil {
		q.used.Bytes -= need.Bytes
		q.used.Files -= need.Files
	}
	return err
}

// release makes a change and then gives back what it has freed.
func (q *Quota) release(freed Usage, change func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change++
	err := change()
	if err == nil {
		q.used.Bytes -= freed.Bytes
		q.used.Files -= freed.Files
	}
	return err
}

// holds returns what a name stands for: nothing if it is not there.
func (q *Quota) holds(name string) Usage {
	info, err := q.base.Stat(name)
	switch {
	case errors.Is(err, ErrEscape):
		return Usage{Files: 1}
	case err != nil:
		return Usage{}
	case info.Mode().IsRegular():
		return Usage{Bytes: info.Size(), Files: 1}
	}
	return Usage{Files: 1}
}

// Name implements afero.Fs.
func (q *Quota) Name() string { return "Quota" }

// Create implements afero.Fs.
func (q *Quota) Create(name string) (afero.File, error) {
	return q.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open implements afero.Fs.
func (q *Quota) Open(name string) (afero.File, error) { return q.base.Open(name) }

// OpenFile implements afero.Fs.
func (q *Quota) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	if flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC) == 0 {
		return q.base.OpenFile(name, flag, perm)
	}
	had := q.holds(name)
	var need Usage
	if flag&os.O_CREATE != 0 && had.Files == 0 {
		need.Files = 1
	}
	if flag&os.O_TRUNC != 0 {
		need.Bytes = -had.Bytes
	}
	var f afero.File
	err := q.charge("open", name, need, func() (err error) {
		f, err = q.base.OpenFile(name, flag, perm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &countedFile{File: f, quota: q, appends: flag&os.O_APPEND != 0}, nil
}

// Mkdir implements afero.Fs.
func (q *Quota) Mkdir(name string, perm os.FileMode) error {
	return q.charge("mkdir", name, Usage{Files: 1}, func() error { return q.base.Mkdir(name, perm) })
}

// MkdirAll implements afero.Fs.
func (q *Quota) MkdirAll(name string, perm os.FileMode) error {
	_, err := mkdirs(q, name, perm)
	return err
}

// Remove implements afero.Fs.
func (q *Quota) Remove(name string) error {
	return q.release(q.holds(name), func() error { return q.base.Remove(name) })
}

// RemoveAll implements afero.Fs.
func (q *Quota) RemoveAll(name string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change++
	return errors.Join(q.base.RemoveAll(name), q.scanLocked())
}

// Rename implements afero.Fs.
func (q *Quota) Rename(oldname, newname string) error {
	freed := q.holds(newname)
	if path.Clean("/"+oldname) == path.Clean("/"+newname) {
		freed = Usage{}
	}
	return q.release(freed, func() error { return q.base.Rename(oldname, newname) })
}

// The rest of afero.Fs frees nothing and takes nothing.

// Stat implements afero.Fs.
func (q *Quota) Stat(name string) (os.FileInfo, error) { return q.base.Stat(name) }

// Chmod implements afero.Fs.
func (q *Quota) Chmod(name string, mode os.FileMode) error { return q.base.Chmod(name, mode) }

// Chown implements afero.Fs.
func (q *Quota) Chown(name string, uid, gid int) error { return q.base.Chown(name, uid, gid) }

// Chtimes implements afero.Fs.
func (q *Quota) Chtimes(name string, atime, mtime time.Time) error {
	return q.base.Chtimes(name, atime, mtime)
}

// countedFile is an open file whose growth is counted.
type countedFile struct {
	afero.File
	quota   *Quota
	appends bool
}

// Write implements afero.File.
func (f *countedFile) Write(b []byte) (int, error) {
	return f.grow(b, func() (int64, error) {
		if f.appends {
			info, err := f.File.Stat()
			if err != nil {
				return 0, err
			}
			return info.Size(), nil
		}
		return f.File.Seek(0, io.SeekCurrent)
	}, f.File.Write)
}

// WriteAt implements afero.File.
func (f *countedFile) WriteAt(b []byte, off int64) (int, error) {
	return f.grow(b, func() (int64, error) { return off, nil },
		func(b []byte) (int, error) { return f.File.WriteAt(b, off) })
}

// WriteString implements afero.File.
func (f *countedFile) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// Truncate implements afero.File.
func (f *countedFile) Truncate(size int64) error {
	q := f.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change++
	info, err := f.File.Stat()
	if err != nil {
		return err
	}
	need := Usage{Bytes: size - info.Size()}
	if err := q.reserveLocked(need); err != nil {
		return &fs.PathError{Op: "truncate", Path: f.Name(), Err: err}
	}
	if err := f.File.Truncate(size); err != nil {
		q.used.Bytes -= need.Bytes
		return err
	}
	return nil
}

// grow books what a write of b adds, all or nothing, writes, and books what
// really was added.
func (f *countedFile) grow(b []byte, offset func() (int64, error), write func([]byte) (int, error)) (int, error) {
	q := f.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change++
	before, err := f.File.Stat()
	if err != nil {
		return 0, err
	}
	at, err := offset()
	if err != nil {
		return 0, err
	}
	need := Usage{Bytes: max(0, at+int64(len(b))-before.Size())}
	if err := q.reserveLocked(need); err != nil {
		return 0, &fs.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	n, err := write(b)
	if err != nil {
		q.used.Bytes -= need.Bytes
		q.used.Bytes += max(0, at+int64(n)-before.Size())
	}
	return n, err
}

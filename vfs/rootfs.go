package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"
)

// RootFS is an afero.Fs of the files below one directory. It is made for a
// directory in which somebody hostile may work at the same time: nothing that
// they plant there leads out.
//
// os.Root keeps ".." and links inside. RootFS is stricter: no element of a path
// may be ".." or a symbolic link, wherever that leads; a file that is opened must
// be a regular one or a directory, have no other name (hard link), and be on the
// mount of the root. Every element is looked at, opened, and then compared with
// what was looked at, so that nothing can be swapped in between.
//
// It may be used by many goroutines at once.
type RootFS struct {
	root  *os.Root
	mount mount
}

var _ afero.Fs = (*RootFS)(nil)

// OpenRootFS returns the file system below dir, which the caller trusts.
func OpenRootFS(dir string) (*RootFS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("vfs: opening root: %w", err)
	}
	r := &RootFS{root: root}
	d, err := root.Open(".")
	if err == nil {
		r.mount, err = mountOf(d)
		d.Close()
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("vfs: opening root: %w", err)
	}
	return r, nil
}

// Close gives the root back. Files that are open stay usable.
func (r *RootFS) Close() error { return r.root.Close() }

// Name implements afero.Fs.
func (r *RootFS) Name() string { return "RootFS" }

// Create implements afero.Fs.
func (r *RootFS) Create(name string) (afero.File, error) {
	return r.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open implements afero.Fs.
func (r *RootFS) Open(name string) (afero.File, error) { return r.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs. Of perm only the permissions count.
func (r *RootFS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	var f *file
	err := r.at("open", name, func(dir *os.Root, base string) (err error) {
		f, err = r.openFile(dir, base, flag, perm.Perm())
		return err
	})
	if err != nil {
		return nil, err
	}
	f.name = name
	return f, nil
}

// openFile opens what is called base in dir. What exists is never created nor
// truncated before it was looked at; what does not is created exclusively, which
// follows no link.
func (r *RootFS) openFile(dir *os.Root, base string, flag int, perm fs.FileMode) (*file, error) {
	const known = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_SYNC
	how := flag&known | unix.O_NONBLOCK | unix.O_NOFOLLOW // a FIFO must not hold us
	if flag&os.O_CREATE != 0 {
		f, err := dir.OpenFile(base, how|os.O_CREATE|os.O_EXCL, perm)
		switch {
		case err == nil:
			return &file{File: f}, nil
		case !errors.Is(err, fs.ErrExist) || flag&os.O_EXCL != 0:
			return nil, err
		}
	}
	before, err := dir.Lstat(base)
	if err != nil {
		return nil, err
	}
	if err := r.judge(before); err != nil {
		return nil, err
	}
	f, err := dir.OpenFile(base, how, 0)
	if err != nil {
		return nil, err
	}
	if err := r.confirm(f, before); err != nil {
		f.Close()
		return nil, err
	}
	if flag&os.O_TRUNC != 0 && flag&(os.O_WRONLY|os.O_RDWR) != 0 {
		if err := f.Truncate(0); err != nil {
			f.Close()
			return nil, err
		}
	}
	opened := &file{File: f}
	if before.IsDir() {
		if opened.dir, err = dir.OpenRoot(base); err != nil {
			f.Close()
			return nil, err
		}
		if err := r.confirmRoot(opened.dir, before); err != nil {
			opened.Close()
			return nil, err
		}
	}
	return opened, nil
}

// Mkdir implements afero.Fs.
func (r *RootFS) Mkdir(name string, perm os.FileMode) error {
	return r.at("mkdir", name, func(dir *os.Root, base string) error { return dir.Mkdir(base, perm.Perm()) })
}

// MkdirAll implements afero.Fs.
func (r *RootFS) MkdirAll(name string, perm os.FileMode) error {
	elements, err := split(name)
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	for i := range elements {
		part := strings.Join(elements[:i+1], "/")
		err := r.Mkdir(part, perm)
		if !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return err
			}
			continue
		}
		info, err := r.Stat(part)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: unix.ENOTDIR}
		}
	}
	return nil
}

// Remove implements afero.Fs. A link goes, what it names stays.
func (r *RootFS) Remove(name string) error {
	return r.at("remove", name, func(dir *os.Root, base string) error {
		if base == "." {
			return unix.EBUSY
		}
		return dir.Remove(base)
	})
}

// RemoveAll implements afero.Fs. It enters no mount, and the root itself stays.
func (r *RootFS) RemoveAll(name string) error {
	err := r.at("remove", name, func(dir *os.Root, base string) error {
		if base == "." {
			return unix.EBUSY
		}
		return r.removeAll(dir, base)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r *RootFS) removeAll(dir *os.Root, base string) error {
	err := dir.Remove(base)
	if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	below, err := r.step(dir, base)
	if err != nil {
		return err
	}
	defer below.Close()
	names, err := namesIn(below)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.removeAll(below, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return dir.Remove(base)
}

// Rename implements afero.Fs. What is replaced may be a link: it goes, and what
// it names stays.
func (r *RootFS) Rename(oldname, newname string) error {
	wrong := func(err error) error {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: bareLink(err)}
	}
	for _, name := range []string{oldname, newname} {
		err := r.at("rename", name, func(_ *os.Root, base string) error {
			if base == "." {
				return unix.EBUSY
			}
			return nil
		})
		if err != nil {
			return wrong(err)
		}
	}
	from, _ := split(oldname)
	to, _ := split(newname)
	// Both parents are what they should be now. Should somebody replace one by a
	// link at this moment, os.Root still keeps the rename inside.
	if err := r.root.Rename(strings.Join(from, "/"), strings.Join(to, "/")); err != nil {
		return wrong(err)
	}
	return nil
}

// Stat implements afero.Fs. A link is ErrEscape.
func (r *RootFS) Stat(name string) (os.FileInfo, error) {
	var info fs.FileInfo
	err := r.at("stat", name, func(dir *os.Root, base string) (err error) {
		if info, err = dir.Lstat(base); err != nil {
			return err
		}
		return r.judge(info)
	})
	if err != nil {
		return nil, err
	}
	return info, nil
}

// Chmod implements afero.Fs. Of mode only the permissions count.
func (r *RootFS) Chmod(name string, mode os.FileMode) error {
	return r.through("chmod", name, func(f *os.File) error { return f.Chmod(mode.Perm()) })
}

// Chown implements afero.Fs.
func (r *RootFS) Chown(name string, uid, gid int) error {
	return r.through("chown", name, func(f *os.File) error { return f.Chown(uid, gid) })
}

// Chtimes implements afero.Fs.
func (r *RootFS) Chtimes(name string, atime, mtime time.Time) error {
	return r.through("chtimes", name, func(f *os.File) error {
		times := make([]unix.Timespec, 2)
		for i, t := range []time.Time{atime, mtime} {
			ts, err := unix.TimeToTimespec(t)
			if err != nil {
				return err
			}
			if times[i] = ts; t.IsZero() {
				times[i].Nsec = unix.UTIME_OMIT
			}
		}
		return unix.UtimesNanoAt(int(f.Fd()), "", times, unix.AT_EMPTY_PATH)
	})
}

// through calls f with the opened file.
func (r *RootFS) through(op, name string, f func(*os.File) error) error {
	return r.at(op, name, func(dir *os.Root, base string) error {
		opened, err := r.openFile(dir, base, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer opened.Close()
		return f(opened.File)
	})
}

// at calls f with the directory that holds name, and the last element of name:
// "." for the root itself. It names errors.
func (r *RootFS) at(op, name string, f func(dir *os.Root, base string) error) error {
	elements, err := split(name)
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	base := "."
	if len(elements) > 0 {
		base = elements[len(elements)-1]
		elements = elements[:len(elements)-1]
	}
	dir := r.root
	for _, e := range elements {
		next, err := r.step(dir, e)
		if dir != r.root {
			dir.Close()
		}
		if err != nil {
			return &fs.PathError{Op: op, Path: name, Err: bare(err)}
		}
		dir = next
	}
	err = f(dir, base)
	if dir != r.root {
		dir.Close()
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: bare(err)}
	}
	return nil
}

// step opens one directory of a path.
func (r *RootFS) step(dir *os.Root, element string) (*os.Root, error) {
	before, err := dir.Lstat(element)
	if err != nil {
		return nil, err
	}
	if err := r.judge(before); err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, unix.ENOTDIR
	}
	next, err := dir.OpenRoot(element)
	if err != nil {
		return nil, err
	}
	if err := r.confirmRoot(next, before); err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

// judge refuses what may lead out.
func (r *RootFS) judge(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("%w: the kernel says nothing about it", ErrEscape)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w: it is a symbolic link", ErrEscape)
	case !info.Mode().IsRegular() && !info.IsDir():
		return fmt.Errorf("%w: it is neither a file nor a directory", ErrEscape)
	case info.Mode().IsRegular() && st.Nlink > 1:
		return fmt.Errorf("%w: it is a hard link, and has another name elsewhere", ErrEscape)
	case st.Dev != r.mount.dev:
		return fmt.Errorf("%w: it is on another file system", ErrEscape)
	}
	return nil
}

// confirm judges what was opened, and that it is what was looked at before.
func (r *RootFS) confirm(f *os.File, before fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(before, info) {
		return fmt.Errorf("%w: somebody replaced it just now", ErrEscape)
	}
	if err := r.judge(info); err != nil {
		return err
	}
	m, err := mountOf(f)
	if err != nil {
		return err
	}
	if m != r.mount {
		return fmt.Errorf("%w: something is mounted there", ErrEscape)
	}
	return nil
}

func (r *RootFS) confirmRoot(dir *os.Root, before fs.FileInfo) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return r.confirm(d, before)
}

// split returns the elements of a name: none for the root.
func split(name string) ([]string, error) {
	if len(name) > maxPath+maxName || strings.ContainsRune(name, 0) {
		return nil, unix.ENAMETOOLONG
	}
	var out []string
	for e := range strings.SplitSeq(name, "/") {
		switch e {
		case "", ".":
		case "..":
			return nil, fmt.Errorf(`%w: ".."`, ErrEscape)
		default:
			out = append(out, e)
		}
	}
	if len(out) > maxDepth+1 {
		return nil, unix.ENAMETOOLONG
	}
	return out, nil
}

// bareLink is bare for errors of renames, too.
func bareLink(err error) error {
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return bare(err)
}

// mount tells mounts apart: a bind mount has the device of where it came from.
type mount struct {
	dev uint64
	id  uint64 // 0 where the kernel (before 5.8) does not say
}

func mountOf(f *os.File) (mount, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return mount{}, err
	}
	var st unix.Statx_t
	var statErr error
	err = raw.Control(func(fd uintptr) {
		statErr = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	})
	if err := errors.Join(err, statErr); err != nil {
		return mount{}, err
	}
	m := mount{dev: unix.Mkdev(st.Dev_major, st.Dev_minor)}
	if st.Mask&unix.STATX_MNT_ID != 0 {
		m.id = st.Mnt_id
	}
	return m, nil
}

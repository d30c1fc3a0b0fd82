// Package vfstest is a disk in memory that can lose its power, or the program that uses it,
// between any two of its operations. What was synced is there afterwards; of the rest some
// is, and some is not. It does no I/O but in HostTree; it is for tests.
package vfstest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// ErrCrashed is the answer to everything after a crash, until the next start.
var ErrCrashed = errors.New("vfstest: the machine has crashed")

// Disk is an afero.Fs. It may be used by many goroutines at once.
type Disk struct {
	mu      sync.Mutex // protects what follows, and all nodes
	rand    *rand.Rand
	root    *node
	inodes  uint64
	steps   int // until the crash; below 0: there will be none
	crashed bool
	starts  int
	full    bool // nothing more can be written
	pending []operation
}

// operation is a change of names that is not there for good: it is lost as a whole, or not,
// and with it all that came later and is not synced.
type operation []struct {
	dir  *node
	name string
	is   *node // nil: removed
}

// setLocked changes names.
func (d *Disk) setLocked(op operation) {
	for _, c := range op {
		if c.is == nil {
			delete(c.dir.names, c.name)
		} else {
			c.dir.names[c.name] = c.is
		}
	}
	d.pending = append(d.pending, op)
}

// saveLocked makes an operation one that is there for good.
func (op operation) saveLocked() {
	for _, c := range op {
		if c.is == nil {
			delete(c.dir.kept, c.name)
		} else {
			c.dir.kept[c.name] = c.is
		}
	}
}

var _ afero.Fs = (*Disk)(nil)

// node is a file or a directory, as it is and as it is for good.
type node struct {
	inode          uint64
	dir            bool
	content, saved []byte
	names, kept    map[string]*node
	modified       time.Time
}

// New returns an empty disk. Everything that is up to chance follows from seed.
func New(seed uint64) *Disk {
	d := &Disk{rand: rand.New(rand.NewPCG(seed, 1)), steps: -1}
	d.root = d.make(true)
	return d
}

func (d *Disk) make(dir bool) *node {
	d.inodes++
	n := &node{inode: d.inodes, dir: dir, modified: time.Now()}
	if dir {
		n.names, n.kept = map[string]*node{}, map[string]*node{}
	}
	return n
}

// CrashAfter has the machine crash after so many operations that change something.
func (d *Disk) CrashAfter(steps int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = steps
}

// Crashed tells whether it has crashed.
func (d *Disk) Crashed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashed
}

// Fill makes the disk full, or gives it room again.
func (d *Disk) Fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

// Start begins again after a crash: of the program alone, which loses nothing that was
// written, or of the power. Files that are open are of no use any more.
func (d *Disk) Start(powerLost bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps, d.crashed = -1, false
	d.starts++
	if powerLost {
		for _, op := range d.pending[:d.rand.IntN(len(d.pending)+1)] {
			op.saveLocked()
		}
		d.pending = nil
		d.root = d.after(d.root, map[*node]*node{})
	}
}

// after is what is left of a node when the power is lost.
func (d *Disk) after(n *node, done map[*node]*node) *node {
	if m := done[n]; m != nil {
		return m
	}
	m := &node{inode: n.inode, dir: n.dir, modified: n.modified}
	done[n] = m
	if !n.dir {
		m.content = n.saved
		switch {
		case d.rand.IntN(2) == 0:
		case bytes.HasPrefix(n.content, n.saved): // some of what was appended
			m.content = slices.Clone(n.content[:len(n.saved)+d.rand.IntN(len(n.content)-len(n.saved)+1)])
		default:
			m.content = n.content
		}
		m.saved = m.content
		return m
	}
	m.names, m.kept = map[string]*node{}, map[string]*node{}
	for _, name := range sorted(n.kept) {
		m.names[name] = d.after(n.kept[name], done)
		m.kept[name] = m.names[name]
	}
	return m
}

func sorted[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// stepLocked is one operation that changes something.
func (d *Disk) stepLocked() error {
	if d.steps == 0 {
		d.crashed = true
	}
	if d.crashed {
		return ErrCrashed
	}
	if d.steps > 0 {
		d.steps--
	}
	return nil
}

// findLocked returns what a name stands for.
func (d *Disk) findLocked(name string) (*node, error) {
	if d.crashed {
		return nil, ErrCrashed
	}
	n := d.root
	for e := range strings.SplitSeq(path.Clean("/"+name), "/") {
		if e == "" {
			continue
		}
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[e]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parentLocked returns the directory of a name, and its last element.
func (d *Disk) parentLocked(name string) (*node, string, error) {
	name = path.Clean("/" + name)
	p, err := d.findLocked(path.Dir(name))
	switch {
	case err != nil:
		return nil, "", err
	case !p.dir:
		return nil, "", syscall.ENOTDIR
	case name == "/":
		return nil, "", syscall.EBUSY
	}
	return p, path.Base(name), nil
}

// change does something to one name.
func (d *Disk) change(op, name string, f func(dir *node, base string) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, base, err := d.parentLocked(name)
	if err == nil {
		err = d.stepLocked()
	}
	if err == nil {
		err = f(p, base)
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// Name implements afero.Fs.
func (d *Disk) Name() string { return "vfstest" }

// Mkdir implements afero.Fs.
func (d *Disk) Mkdir(name string, _ os.FileMode) error {
	return d.change("mkdir", name, func(dir *node, base string) error {
		switch {
		case dir.names[base] != nil:
			return fs.ErrExist
		case d.full:
			return syscall.ENOSPC
		}
		d.setLocked(operation{{dir, base, d.make(true)}})
		return nil
	})
}

// MkdirAll implements afero.Fs.
func (d *Disk) MkdirAll(name string, perm os.FileMode) error {
	part := ""
	for e := range strings.SplitSeq(strings.Trim(path.Clean("/"+name), "/"), "/") {
		part += "/" + e
		if err := d.Mkdir(part, perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// Remove implements afero.Fs.
func (d *Disk) Remove(name string) error {
	return d.change("remove", name, func(dir *node, base string) error {
		n := dir.names[base]
		switch {
		case n == nil:
			return fs.ErrNotExist
		case n.dir && len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		d.setLocked(operation{{dir, base, nil}})
		return nil
	})
}

// RemoveAll implements afero.Fs.
func (d *Disk) RemoveAll(name string) error {
	return d.change("remove", name, func(dir *node, base string) error {
		d.setLocked(operation{{dir, base, nil}})
		return nil
	})
}

// Rename implements afero.Fs.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	wrong := func(err error) error { return &os.LinkError{Op: "rename", Old: from, New: to, Err: err} }
	p, base, err := d.parentLocked(from)
	if err != nil {
		return wrong(err)
	}
	q, target, err := d.parentLocked(to)
	if err != nil {
		return wrong(err)
	}
	if err := d.stepLocked(); err != nil {
		return wrong(err)
	}
	n, there := p.names[base], q.names[target]
	switch {
	case n == nil:
		return wrong(fs.ErrNotExist)
	case there != nil && there.dir && !n.dir:
		return wrong(syscall.EISDIR)
	case there != nil && !there.dir && n.dir:
		return wrong(syscall.ENOTDIR)
	}
	d.setLocked(operation{{p, base, nil}, {q, target, n}})
	return nil
}

// Stat implements afero.Fs.
func (d *Disk) Stat(name string) (os.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.findLocked(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return infoOf(path.Base(name), n), nil
}

// Chmod implements afero.Fs.
func (d *Disk) Chmod(string, os.FileMode) error { return nil }

// Chown implements afero.Fs.
func (d *Disk) Chown(string, int, int) error { return nil }

// Chtimes implements afero.Fs.
func (d *Disk) Chtimes(string, time.Time, time.Time) error { return nil }

// Create implements afero.Fs.
func (d *Disk) Create(name string) (afero.File, error) {
	return d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Open implements afero.Fs.
func (d *Disk) Open(name string) (afero.File, error) { return d.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile implements afero.Fs.
func (d *Disk) OpenFile(name string, flag int, _ os.FileMode) (afero.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.openLocked(name, flag)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{disk: d, node: n, name: name, start: d.starts}, nil
}

func (d *Disk) openLocked(name string, flag int) (*node, error) {
	n, err := d.findLocked(name)
	switch {
	case err == nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, fs.ErrExist
	case err == nil && flag&os.O_TRUNC != 0:
		if err := d.stepLocked(); err != nil {
			return nil, err
		}
		n.content, n.modified = nil, time.Now()
		return n, nil
	case err == nil || flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist):
		return n, err
	case d.full:
		return nil, syscall.ENOSPC
	}
	p, base, err := d.parentLocked(name)
	if err == nil {
		err = d.stepLocked()
	}
	if err != nil {
		return nil, err
	}
	n = d.make(false)
	d.setLocked(operation{{p, base, n}})
	return n, nil
}

// Tree returns what is below a directory: the content of files by path, and of directories
// "/". With saved it is what a loss of power would leave for sure.
func (d *Disk) Tree(dir string, saved bool) map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]string{}
	var walk func(prefix string, n *node)
	walk = func(prefix string, n *node) {
		names := n.names
		if saved {
			names = n.kept
		}
		for name, child := range names {
			switch {
			case child.dir:
				out[prefix+"/"+name] = "/"
				walk(prefix+"/"+name, child)
			case saved:
				out[prefix+"/"+name] = string(child.saved)
			default:
				out[prefix+"/"+name] = string(child.content)
			}
		}
	}
	n := d.root
	for e := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if e == "" {
			continue
		}
		names := n.names
		if saved {
			names = n.kept
		}
		if n = names[e]; n == nil {
			return out
		}
	}
	walk("", n)
	return out
}

// file is an open file.
type file struct {
	disk  *Disk
	node  *node
	name  string
	start int
	at    int64

	listed int
}

// use locks the disk for an operation.
func (f *file) use(changes bool) (unlock func(), err error) {
	d := f.disk
	d.mu.Lock()
	switch {
	case d.crashed || f.start != d.starts:
		err = ErrCrashed
	case changes:
		err = d.stepLocked()
	}
	if err != nil {
		d.mu.Unlock()
		return nil, &fs.PathError{Op: "use", Path: f.name, Err: err}
	}
	return d.mu.Unlock, nil
}

// Name implements afero.File.
func (f *file) Name() string { return f.name }

// Close implements afero.File.
func (f *file) Close() error { return nil }

// Read implements afero.File.
func (f *file) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.at)
	f.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// ReadAt implements afero.File.
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	unlock, err := f.use(false)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if f.node.dir {
		return 0, syscall.EISDIR
	}
	if off >= int64(len(f.node.content)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.content[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Seek implements afero.File.
func (f *file) Seek(off int64, whence int) (int64, error) {
	unlock, err := f.use(false)
	if err != nil {
		return 0, err
	}
	defer unlock()
	switch whence {
	case io.SeekCurrent:
		off += f.at
	case io.SeekEnd:
		off += int64(len(f.node.content))
	}
	f.at = off
	return off, nil
}

// Write implements afero.File.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.WriteAt(b, f.at)
	f.at += int64(n)
	return n, err
}

// WriteString implements afero.File.
func (f *file) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt implements afero.File. A full disk takes half of it.
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	unlock, err := f.use(true)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if f.disk.full {
		b, err = b[:len(b)/2], syscall.ENOSPC
	}
	grown := f.node.content
	if int(off) < len(grown) { // what is saved stays as it is
		grown = slices.Clone(grown)
	}
	if need := int(off) + len(b); need > len(grown) {
		grown = append(grown, make([]byte, need-len(grown))...)
	}
	copy(grown[off:], b)
	f.node.content, f.node.modified = grown, time.Now()
	return len(b), err
}

// Truncate implements afero.File.
func (f *file) Truncate(size int64) error {
	unlock, err := f.use(true)
	if err != nil {
		return err
	}
	defer unlock()
	grown := make([]byte, size)
	copy(grown, f.node.content)
	f.node.content, f.node.modified = grown, time.Now()
	return nil
}

// Sync implements afero.File.
func (f *file) Sync() error {
	unlock, err := f.use(true)
	if err != nil {
		return err
	}
	defer unlock()
	if f.node.dir {
		d := f.disk
		d.pending = slices.DeleteFunc(d.pending, func(op operation) bool {
			for _, c := range op {
				if c.dir == f.node {
					op.saveLocked()
					return true
				}
			}
			return false
		})
		return nil
	}
	f.node.saved = f.node.content
	return nil
}

// Stat implements afero.File.
func (f *file) Stat() (os.FileInfo, error) {
	unlock, err := f.use(false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return infoOf(path.Base(f.name), f.node), nil
}

// Readdir implements afero.File.
func (f *file) Readdir(count int) ([]os.FileInfo, error) {
	unlock, err := f.use(false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	names := sorted(f.node.names)
	names = names[min(f.listed, len(names)):]
	if count > 0 {
		if len(names) == 0 {
			return nil, io.EOF
		}
		names = names[:min(count, len(names))]
	}
	f.listed += len(names)
	var out []os.FileInfo
	for _, name := range names {
		out = append(out, infoOf(name, f.node.names[name]))
	}
	return out, nil
}

// Readdirnames implements afero.File.
func (f *file) Readdirnames(count int) ([]string, error) {
	list, err := f.Readdir(count)
	var out []string
	for _, info := range list {
		out = append(out, info.Name())
	}
	return out, err
}

// info is what is known of a node at one moment.
type info struct {
	name     string
	size     int64
	dir      bool
	modified time.Time
	sys      syscall.Stat_t
}

func infoOf(name string, n *node) fs.FileInfo {
	return &info{name, int64(len(n.content)), n.dir, n.modified, syscall.Stat_t{Ino: n.inode, Nlink: 1}}
}

// Name implements fs.FileInfo.
func (i *info) Name() string { return i.name }

// Size implements fs.FileInfo.
func (i *info) Size() int64 { return i.size }

// Mode implements fs.FileInfo.
func (i *info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// ModTime implements fs.FileInfo.
func (i *info) ModTime() time.Time { return i.modified }

// IsDir implements fs.FileInfo.
func (i *info) IsDir() bool { return i.dir }

// Sys implements fs.FileInfo.
func (i *info) Sys() any { return &i.sys }

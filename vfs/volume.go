package vfs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/afero"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// Info is one file or directory.
type Info struct {
	Path     string // in its volume
	Size     int64  // 0 for a directory
	Modified time.Time
	Dir      bool
	SHA256   string // hexadecimal, where the whole file was read
}

// Volume is a place for files: a context's disk0:, or shared storage. Its files
// are replaced as a whole. Paths are those of a Name. It may be used by many
// goroutines at once.
type Volume struct {
	label    string // what comes before a path in errors: "blue:disk0:"
	fsys     afero.Fs
	quota    *Quota // nil: nothing is counted
	readOnly bool
	close    func() error

	scanning sync.Mutex // makes Scans one at a time; taken before changing

	changing sync.Mutex // makes changes of names one at a time, with what is noted of them
	index    *index     // nil: nothing is noted
	looked   bool       // a Scan has been made
	// firm are the directories that are there for good: one that an earlier run has made
	// may not be. Protected by changing.
	firm map[string]bool
}

// OpenVolume returns the volume in a directory, and removes what writers that
// died have left there. Only one Volume may be open for a directory that is
// written to; label is for errors.
func OpenVolume(label, dir string, limit Limit) (*Volume, error) {
	root, err := OpenRootFS(dir)
	if err != nil {
		return nil, err
	}
	v, err := NewVolume(label, root, limit)
	if err != nil {
		root.Close()
		return nil, err
	}
	v.close = root.Close
	return v, nil
}

// NewVolume is OpenVolume for any file system.
func NewVolume(label string, fsys afero.Fs, limit Limit) (*Volume, error) {
	err := walk(fsys, "/", func(name string, _ fs.FileInfo) error {
		if base := path.Base(name); strings.HasPrefix(base, reserved) && !strings.HasPrefix(base, part) {
			return fsys.Remove(name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("vfs: cleaning %s: %w", label, err)
	}
	q, err := NewQuota(fsys, limit)
	if err != nil {
		return nil, fmt.Errorf("vfs: counting %s: %w", label, err)
	}
	return &Volume{label: label, fsys: q, quota: q, close: func() error { return nil }}, nil
}

// ReadOnly returns the same volume under another label, to be read only. It ends
// when v is closed.
func (v *Volume) ReadOnly(label string) *Volume {
	return &Volume{label: label, fsys: afero.NewReadOnlyFs(v.fsys), quota: v.quota, readOnly: true,
		close: func() error { return nil }}
}

// Close ends the volume's use.
func (v *Volume) Close() error { return v.close() }

// IsReadOnly reports whether the volume can only be read.
func (v *Volume) IsReadOnly() bool { return v.readOnly }

// Usage returns what the volume holds and may hold.
func (v *Volume) Usage() (Usage, Limit) { return v.quota.Usage() }

// Peak returns the most that it held at once, and how often there were too many
// bytes or files.
func (v *Volume) Peak() (peak, denied Usage) { return v.quota.Peak() }

// SetLimit changes what it may hold.
func (v *Volume) SetLimit(l Limit) { v.quota.SetLimit(l) }

// List returns what is in a directory, sorted by name; of a file, the file.
// What leads out of the volume is not shown: it cannot be used.
func (v *Volume) List(p string) ([]Info, error) {
	info, err := v.Stat(p)
	if err != nil {
		return nil, err
	}
	if !info.Dir {
		return []Info{info}, nil
	}
	d, err := v.fsys.Open(p)
	if err != nil {
		return nil, v.wrong("listing", p, err)
	}
	defer d.Close()
	list, err := d.Readdir(-1)
	if err != nil {
		return nil, v.wrong("listing", p, err)
	}
	var out []Info
	for _, e := range list {
		if one := path.Join(p, e.Name()); checkElement(e.Name()) == nil && (e.IsDir() || e.Mode().IsRegular()) {
			out = append(out, infoOf(one, e))
		}
	}
	sortByPath(out)
	return out, nil
}

func sortByPath(list []Info) {
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Path, b.Path) })
}

// Stat returns what is known of one file or directory.
func (v *Volume) Stat(p string) (Info, error) {
	info, err := v.fsys.Stat(p)
	if err != nil {
		return Info{}, v.wrong("looking at", p, err)
	}
	return infoOf(p, info), nil
}

// Open returns the content of a file, which the caller closes.
func (v *Volume) Open(p string) (Info, io.ReadCloser, error) {
	f, err := v.fsys.Open(p)
	if err != nil {
		return Info{}, nil, v.wrong("reading", p, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		f.Close()
		return Info{}, nil, v.wrong("reading", p, err)
	}
	return infoOf(p, info), f, nil
}

// Verify reads a whole file and returns its checksum.
func (v *Volume) Verify(ctx context.Context, p string) (Info, error) {
	info, r, err := v.Open(p)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := copyAll(ctx, sum, r, nil); err != nil {
		return Info{}, v.wrong("reading", p, err)
	}
	info.SHA256 = hexOf(sum)
	return info, nil
}

// Commit judges a change at the last moment: no name in the volume changes meanwhile, and
// it must change none. It returns the epoch of the failover group in which the change is
// made, 0 where there is none. With an error nothing is changed.
type Commit func() (epoch uint64, err error)

// Remove deletes a file or an empty directory.
func (v *Volume) Remove(p string) error { return v.RemoveIf(p, nil) }

// RemoveIf is Remove, if commit, unless it is nil, does not object.
func (v *Volume) RemoveIf(p string, commit Commit) error {
	v.changing.Lock()
	defer v.changing.Unlock()
	var epoch uint64
	if commit != nil {
		var err error
		if epoch, err = commit(); err != nil {
			return v.wrong("deleting", p, err)
		}
	}
	if err := v.removeLocked(p, Hand{Active: true, Epoch: epoch}); err != nil {
		return v.wrong("deleting", p, err)
	}
	return nil
}

// removeLocked notes a deletion and deletes. Where there is no room for the note it
// deletes first: that makes room. A crash in between undoes that deletion, of which nobody
// was told yet.
func (v *Volume) removeLocked(p string, h Hand) error {
	if v.index == nil || v.readOnly {
		return v.unlink(p)
	}
	info, err := v.fsys.Stat(p)
	if err != nil || info.IsDir() { // or a link, which no index knows
		if err := v.unlink(p); err != nil {
			return err
		}
		if info == nil {
			return nil
		}
		return v.noteGone(p, "", h)
	}
	if err := v.settleLocked(p, h); err != nil && !outOfRoom(err) {
		return err
	}
	noteErr := v.noteGone(p, lasting(stampOf(info)), h)
	if noteErr != nil && !outOfRoom(noteErr) {
		return noteErr
	}
	if err := v.unlink(p); err != nil {
		v.index.stale = true
		return err
	}
	if noteErr != nil {
		return v.noteGone(p, "", h)
	}
	return nil
}

func (v *Volume) noteGone(p, stamp string, h Hand) error {
	e := v.index.Changed(catalog.Change{Path: p, Kind: catalog.KindGone, Epoch: h.Epoch})
	e.Stamp = stamp
	return v.index.note(&e)
}

func outOfRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// unlink deletes a name, for good when it returns.
func (v *Volume) unlink(p string) error {
	if err := v.fsys.Remove(p); err != nil {
		return err
	}
	delete(v.firm, p)
	return syncDir(v.fsys, path.Dir(p))
}

// Content is what Replace writes.
type Content struct {
	Reader io.Reader
	Size   int64                   // of all; a reader that gives more or less is an error
	Wrote  func(done, total int64) // is called now and then, unless nil
	// Commit is called when all is written and nothing is replaced yet, unless nil.
	Commit Commit
}

// Replace makes a file of a path, or replaces the one that is there, with the
// directories that it needs. Whatever happens, even if the machine loses power,
// the file has all of the old content or all of the new. Room for the whole is
// booked before the first byte is read.
func (v *Volume) Replace(ctx context.Context, p string, c Content) (Info, error) {
	info, err := v.replace(ctx, p, c)
	if err != nil {
		return Info{}, v.wrong("writing", p, err)
	}
	return info, nil
}

func (v *Volume) replace(ctx context.Context, p string, c Content) (done Info, err error) {
	if v.readOnly {
		return Info{}, ErrReadOnly
	}
	switch info, err := v.fsys.Stat(p); {
	case err == nil && info.IsDir():
		return Info{}, syscall.EISDIR
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Info{}, err
	}
	dir := path.Dir(p)
	made, err := mkdirs(v.fsys, dir, dirMode)
	defer func() {
		if err != nil {
			for _, d := range slices.Backward(made) {
				v.fsys.Remove(d) // stays if somebody else uses it by now
			}
		}
	}()
	if err != nil {
		return Info{}, err
	}
	aside := path.Join(dir, reserved+rand.Text())
	info, sum, err := v.writeAside(ctx, aside, c)
	if err == nil {
		err = v.putInPlace(aside, p, info, sum, made, c)
	}
	if err != nil {
		v.fsys.Remove(aside)
		return Info{}, err
	}
	done = infoOf(p, info)
	done.SHA256 = sum.String()
	return done, nil
}

// putInPlace gives a file that is written its name, and notes that.
func (v *Volume) putInPlace(aside, p string, is fs.FileInfo, sum catalog.Sum, made []string, c Content) error {
	v.changing.Lock()
	defer v.changing.Unlock()
	h := Hand{Active: true}
	if c.Commit != nil {
		var err error
		if h.Epoch, err = c.Commit(); err != nil {
			return err
		}
	}
	if v.index == nil {
		return v.place(aside, p)
	}
	if err := v.settleLocked(p, h); err != nil {
		return err
	}
	notes := v.madeEntries(made, h)
	e := v.index.Changed(catalog.Change{Path: p, Kind: catalog.KindFile, Size: is.Size(), Sum: sum, Epoch: h.Epoch})
	e.Stamp, e.Aside = lasting(stampOf(is)), aside
	return v.placeNoted(append(notes, &e), func() error { return v.place(aside, p) })
}

// place gives a file its name, for good when it returns.
func (v *Volume) place(aside, p string) error {
	if err := rename(v.fsys, aside, p); err != nil {
		return err
	}
	return v.hold(path.Dir(p))
}

// hold makes a directory, and those that it is in, survive a loss of power.
func (v *Volume) hold(dir string) error {
	for ; dir != "/" && !v.firm[dir]; dir = path.Dir(dir) {
		if err := syncDir(v.fsys, path.Dir(dir)); err != nil {
			return err
		}
		if v.firm == nil {
			v.firm = map[string]bool{}
		}
		v.firm[dir] = true
	}
	return nil
}

// holdMissing makes it last that there is nothing at paths where nothing is: whoever deleted
// it, somebody on the host or an earlier run that has crashed, may not have.
func (v *Volume) holdMissing(paths ...string) error {
	held := map[string]bool{}
	for _, p := range paths {
		dir := path.Dir(p)
		for dir != "/" {
			if info, err := v.fsys.Stat(dir); err == nil && info.IsDir() {
				break
			}
			dir = path.Dir(dir)
		}
		if held[dir] {
			continue
		}
		if err := syncDir(v.fsys, dir); err != nil {
			return err
		}
		held[dir] = true
	}
	return nil
}

// placeNoted makes notes durable, does what they say, and then has them count. Notes of
// which the last is of a file that has not its name yet are undone by a crash in between.
func (v *Volume) placeNoted(notes []*catalog.Entry, do func() error) error {
	v.index.Place(notes...)
	batch := batchOf(notes)
	if err := v.index.add(batch); err != nil {
		return err
	}
	if err := do(); err != nil {
		v.index.Skip(uint64(len(notes)))
		v.index.stale = true
		_ = v.index.rewrite(&catalog.Batch{}) // or the next batch does it
		return err
	}
	v.index.Note(batch.Entries...)
	for _, e := range batch.Entries {
		if info, err := v.fsys.Stat(e.Path); err == nil && e.Kind == catalog.KindFile {
			v.index.Restamp(e.Path, stampOf(info))
		}
	}
	v.index.bound()
	return nil
}

// madeEntries are the notes of directories that were made.
func (v *Volume) madeEntries(made []string, h Hand) (notes []*catalog.Entry) {
	for _, d := range made {
		e := v.index.Changed(catalog.Change{Path: d, Kind: catalog.KindDirectory, Epoch: h.Epoch})
		e.Stamp = "directory"
		notes = append(notes, &e)
	}
	return notes
}

// writeAside makes a file with all of the content, on the disk.
func (v *Volume) writeAside(ctx context.Context, name string, c Content) (fs.FileInfo, catalog.Sum, error) {
	if c.Size < 0 {
		return nil, catalog.Sum{}, ErrSize
	}
	f, err := v.fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, catalog.Sum{}, err
	}
	defer f.Close()
	if err := f.Truncate(c.Size); err != nil { // books all of it
		return nil, catalog.Sum{}, err
	}
	sum := sha256.New()
	progress := func(done int64) {
		if c.Wrote != nil {
			c.Wrote(done, c.Size)
		}
	}
	n, err := copyAll(ctx, io.MultiWriter(f, sum), io.LimitReader(c.Reader, c.Size), progress)
	if err != nil {
		return nil, catalog.Sum{}, err
	}
	if more, err := io.CopyN(io.Discard, c.Reader, 1); n < c.Size || more > 0 {
		return nil, catalog.Sum{}, fmt.Errorf("%w: %d bytes", ErrSize, c.Size)
	} else if !errors.Is(err, io.EOF) {
		return nil, catalog.Sum{}, err
	}
	if err := f.Sync(); err != nil {
		return nil, catalog.Sum{}, err
	}
	info, err := f.Stat()
	return info, catalog.Sum(sum.Sum(nil)), err
}

// MakeDir makes a directory and those above it.
func (v *Volume) MakeDir(p string) error {
	if v.readOnly {
		return v.wrong("making", p, ErrReadOnly)
	}
	v.changing.Lock()
	defer v.changing.Unlock()
	if err := v.makeDirLocked(p, Hand{Active: true}); err != nil {
		return v.wrong("making", p, err)
	}
	return nil
}

func (v *Volume) makeDirLocked(p string, h Hand) error {
	made, err := mkdirs(v.fsys, p, dirMode)
	if err == nil {
		err = v.hold(p)
	}
	if v.index != nil {
		err = errors.Join(err, v.index.note(v.madeEntries(made, h)...))
	}
	return err
}

// wrong names the file in an error as its user does.
func (v *Volume) wrong(doing, p string, err error) error {
	err = bareLink(err)
	if errors.Is(err, syscall.EPERM) && v.readOnly {
		err = ErrReadOnly
	}
	return fmt.Errorf("vfs: %s %s%s: %w", doing, v.label, p, err)
}

// mkdirs makes a directory and those above it, and returns what it made, also
// with an error.
func mkdirs(fsys afero.Fs, p string, mode fs.FileMode) ([]string, error) {
	var made []string
	part := ""
	for e := range strings.SplitSeq(path.Clean("/"+p), "/") {
		if e == "" {
			continue
		}
		part += "/" + e
		info, err := fsys.Stat(part)
		switch {
		case err == nil && !info.IsDir():
			return made, &fs.PathError{Op: "mkdir", Path: part, Err: syscall.ENOTDIR}
		case err == nil:
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return made, err
		}
		if err := fsys.Mkdir(part, mode); errors.Is(err, fs.ErrExist) {
			continue // somebody was faster
		} else if err != nil {
			return made, err
		}
		made = append(made, part)
	}
	return made, nil
}

// copyAll copies until the reader ends or ctx does.
func copyAll(ctx context.Context, w io.Writer, r io.Reader, progress func(done int64)) (int64, error) {
	buf := make([]byte, 128<<10)
	var done int64
	for {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return done, err
			}
			if done += int64(n); progress != nil {
				progress(done)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return done, nil
		case err != nil:
			return done, err
		}
	}
}

func infoOf(p string, info fs.FileInfo) Info {
	i := Info{Path: p, Modified: info.ModTime(), Dir: info.IsDir()}
	if !i.Dir {
		i.Size = info.Size()
	}
	return i
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

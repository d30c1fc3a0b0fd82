package vfs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// Orphan is the disk of a context that was removed. It is of nobody until it is erased,
// or until its context comes back with a rollback.
type Orphan struct {
	ID      string    // "blue~20261201T031500.000000000Z"; no two have the same
	Context string    // that was removed
	Removed time.Time // in UTC
	Files   int64     // and directories
	Bytes   int64
}

// The places of contexts and orphans in state_dir, and how the time stands in their names, which
// sorts them.
const (
	contextsDir = "contexts"
	orphansDir  = "orphans"
	orphanTime  = "20060102T150405.000000000Z"
	orphanSplit = "~" // is in no name of a context
)

// contextDir is all that state_dir has of a context: its disk, the note of what is gone
// from that, copies of what servers have.
func contextDir(stateDir, context string) string {
	return filepath.Join(stateDir, contextsDir, context)
}

// Contexts returns the names of the contexts that stateDir has something of, sorted: not of
// those that were set aside, of which the identity of the next disk is left.
func Contexts(stateDir string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, contextsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("vfs: listing contexts: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && validLabel(e.Name()) && !isSuccessor(contextDir(stateDir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// SetAside takes the disk of a context that was removed, which nobody has open, out of the
// way of a later context of the same name, and returns the ID of the orphan. A disk
// without any file is erased, and the ID is "". What is left is the note of the identity that
// the next disk of the name has: it is another one than what the other unit of a pair still
// has of this one, if that was away.
func SetAside(stateDir, context string, now time.Time) (id string, err error) {
	dir := contextDir(stateDir, context)
	if !validLabel(context) {
		return "", fmt.Errorf("vfs: %q %w of a context", context, ErrName)
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	files, _, err := countBelow(DiskDir(stateDir, context))
	if err != nil {
		return "", fmt.Errorf("vfs: looking at disk0: of context %s: %w", context, err)
	}
	id = context + orphanSplit + now.UTC().Format(orphanTime)
	aside := filepath.Join(stateDir, orphansDir, id)
	if err := makeSuccessor(aside); err != nil {
		return "", fmt.Errorf("vfs: making a place for orphans: %w", err)
	}
	if err := exchange(dir, aside); err != nil {
		return "", errors.Join(err, os.RemoveAll(aside))
	}
	if files == 0 {
		return "", os.RemoveAll(aside)
	}
	return id, nil
}

// makeSuccessor makes the directory of a context that has an index and no disk yet.
func makeSuccessor(dir string) error {
	if err := makeForGood(dir); err != nil {
		return err
	}
	x := &index{Catalog: catalog.New(random()), fsys: afero.NewBasePathFs(afero.NewOsFs(), dir),
		path: "/" + Disk + indexSuffix}
	x.Become(catalog.Incarnation{ID: random(), Settled: true, Later: true})
	return x.rewrite(&catalog.Batch{})
}

// isSuccessor tells of a directory that has nothing but what makeSuccessor makes.
func isSuccessor(dir string) bool {
	list, err := os.ReadDir(dir)
	return err == nil && len(list) == 1 && list[0].Name() == Disk+indexSuffix
}

// exchange gives each of two directories the name of the other one, whatever happens.
func exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return errors.Join(syncDir(afero.NewOsFs(), filepath.Dir(a)), syncDir(afero.NewOsFs(), filepath.Dir(b)))
}

// BringBack gives a context that comes back its disk, the one that was set aside last,
// and returns its ID; "" where there is none, or the context has files already.
func BringBack(stateDir, context string) (id string, err error) {
	list, err := Orphans(stateDir)
	if err != nil {
		return "", err
	}
	dir := contextDir(stateDir, context)
	for _, o := range slices.Backward(list) {
		if o.Context != context {
			continue
		}
		files, _, err := countBelow(DiskDir(stateDir, context))
		if err != nil || files > 0 {
			return "", err
		}
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("vfs: making room for disk0: of context %s: %w", context, err)
		}
		if err := os.MkdirAll(filepath.Dir(dir), dirMode); err != nil {
			return "", fmt.Errorf("vfs: making disk0: of context %s: %w", context, err)
		}
		return o.ID, move(filepath.Join(stateDir, orphansDir, o.ID), dir)
	}
	return "", nil
}

// Orphans lists the disks of contexts that were removed, in the order of their contexts
// and of the time.
func Orphans(stateDir string) ([]Orphan, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, orphansDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("vfs: listing orphans: %w", err)
	}
	var list []Orphan
	for _, e := range entries {
		context, when, _ := strings.Cut(e.Name(), orphanSplit)
		at, err := time.Parse(orphanTime, when)
		if err != nil || !e.IsDir() || !validLabel(context) {
			continue // it is not ours
		}
		o := Orphan{ID: e.Name(), Context: context, Removed: at}
		o.Files, o.Bytes, err = countBelow(filepath.Join(stateDir, orphansDir, e.Name(), Disk))
		if err != nil {
			return nil, fmt.Errorf("vfs: looking at %s: %w", e.Name(), bare(err))
		}
		if o.Files == 0 {
			continue // a crash has left it
		}
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b Orphan) int {
		return cmp.Or(cmp.Compare(a.Context, b.Context), a.Removed.Compare(b.Removed))
	})
	return list, nil
}

// EraseOrphan erases an orphan that Orphans has listed.
func EraseOrphan(stateDir, id string) error {
	context, when, _ := strings.Cut(id, orphanSplit)
	if _, err := time.Parse(orphanTime, when); err != nil || !validLabel(context) {
		return fmt.Errorf("vfs: %q %w of an orphan", id, ErrName)
	}
	if err := os.RemoveAll(filepath.Join(stateDir, orphansDir, id)); err != nil {
		return fmt.Errorf("vfs: erasing %s: %w", id, bare(err))
	}
	return syncDir(afero.NewOsFs(), filepath.Join(stateDir, orphansDir))
}

// move renames a directory, so that it is at one place or the other whatever happens.
func move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("vfs: %w", err)
	}
	return errors.Join(syncDir(afero.NewOsFs(), filepath.Dir(from)), syncDir(afero.NewOsFs(), filepath.Dir(to)))
}

// countBelow counts what is below a directory, which need not be there, and follows
// nothing that leads out of it.
func countBelow(dir string) (files, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it has gone just now, or never was
			return nil
		}
		if err != nil || p == dir {
			return err
		}
		files++
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return files, bytes, err
}

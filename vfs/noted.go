package vfs

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// indexSuffix ends the name of the file that has the index of a disk.
const indexSuffix = ".index"

// openNoted returns the volume of a disk whose changes are noted in an index: it finishes
// or undoes first what a crash has cut short.
func openNoted(label string, fsys, beside afero.Fs, name string, limit Limit) (*Volume, error) {
	x, last := openIndex(beside, name+indexSuffix)
	if last != nil {
		done, err := finish(fsys, last)
		if err != nil {
			return nil, err
		}
		x.stale = x.stale || len(done.Entries) < len(last.Entries)
		x.Apply(done)
	}
	for _, e := range x.All() {
		x.Restamp(e.Path, lasting(e.Stamp))
	}
	x.Skip(skipped)
	v, err := NewVolume(label, fsys, limit)
	if err == nil {
		v.index = x
		v.identify()
	}
	return v, err
}

// finish makes the last batch of an index and the disk one, after a crash in the middle of
// it, and makes that last: it returns what of the batch has become true. A file that was not
// put in its place is as it was before, unless the one that stood there has its new name
// already. A directory that is not there was not made: what is known of a file in its place,
// which may be that it was deleted, stays. A deletion is carried out.
func finish(fsys afero.Fs, last *catalog.Batch) (*catalog.Batch, error) {
	is := func(name, stamp string) bool {
		info, err := fsys.Stat(name)
		return err == nil && !info.IsDir() && lasting(stampOf(info)) == lasting(stamp)
	}
	done := *last
	done.Entries = nil
	moved := false
	for _, e := range last.Entries {
		ok := true
		switch {
		case e.Kept && e.Aside == "":
			moved = is(e.Path, e.Stamp)
			ok = moved
		case e.Aside != "" && !is(e.Path, e.Stamp):
			if ok = moved && is(e.Aside, e.Stamp); ok {
				if err := rename(fsys, e.Aside, e.Path); err != nil {
					return nil, err
				}
			}
		case e.Kind == catalog.KindDirectory:
			info, err := fsys.Stat(e.Path)
			ok = err == nil && info.IsDir()
		case e.Kind == catalog.KindGone && e.Stamp != "" && is(e.Path, e.Stamp):
			if err := fsys.Remove(e.Path); err != nil {
				return nil, err
			}
		}
		if err := syncDir(fsys, path.Dir(e.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if ok {
			done.Entries = append(done.Entries, e)
		}
	}
	return &done, nil
}

// rename gives a file another name, for good when it returns.
func rename(fsys afero.Fs, from, to string) error {
	if err := fsys.Rename(from, to); err != nil {
		return err
	}
	err := syncDir(fsys, path.Dir(to))
	if path.Dir(from) != path.Dir(to) {
		err = errors.Join(err, syncDir(fsys, path.Dir(from)))
	}
	return err
}

// Hand says how to judge what somebody has changed on the host, behind the back of this
// program.
type Hand struct {
	// Active: the context is active here, so who changed the file has seen what was there.
	// Otherwise it gives way to what the other unit has.
	Active bool
	Epoch  uint64 // of the failover group
}

// found is a file or directory, and what is to be noted of it.
type found struct {
	Info
	stamp string
	sum   catalog.Sum
}

// Scan notes what was changed on the disk by others than this program. Files that are
// missing count as deleted where the context is active, the disk was looked at before, and
// something is left on it; otherwise they are given up, and the other unit has them. It
// reads files that have changed.
func (v *Volume) Scan(ctx context.Context, h Hand) error {
	if v.index == nil {
		return nil
	}
	v.scanning.Lock()
	defer v.scanning.Unlock()
	list, err := v.look()
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(list))
	var changed []found
	for _, f := range list {
		there[f.Path] = true
		if v.known(f) {
			continue
		}
		if !f.Dir {
			info, err := v.Verify(ctx, f.Path)
			switch {
			case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrEscape):
				continue // removed meanwhile, or of no use
			case err != nil:
				return err
			}
			f.sum, _ = catalog.ParseSum(info.SHA256)
		}
		changed = append(changed, f)
	}
	for part := changed; len(part) > 0; part = part[min(len(part), maxBatch):] {
		if err := v.noteFound(part[:min(len(part), maxBatch)], h); err != nil {
			return v.wrong("noting", "/", err)
		}
	}
	if err := v.noteMissing(there, h); err != nil {
		return v.wrong("noting", "/", err)
	}
	return nil
}

// look returns what there is that can be used, in the order of paths.
func (v *Volume) look() ([]found, error) {
	var list []found
	err := walk(v.fsys, "/", func(name string, info fs.FileInfo) error {
		if checkElement(info.Name()) != nil || !info.IsDir() && !info.Mode().IsRegular() {
			return nil
		}
		list = append(list, found{Info: infoOf(name, info), stamp: stampOf(info)})
		return nil
	})
	if err != nil {
		return nil, v.wrong("listing", "/", err)
	}
	slices.SortFunc(list, func(a, b found) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// known reports whether a file looks as it is noted.
func (v *Volume) known(f found) bool {
	v.changing.Lock()
	defer v.changing.Unlock()
	e, ok := v.index.Find(f.Path)
	if !ok || f.Dir != (e.Kind == catalog.KindDirectory) || !e.Alive() || !f.Dir && !matches(e.Stamp, f.stamp) {
		return false
	}
	if e.Stamp != f.stamp {
		v.index.Restamp(f.Path, f.stamp)
	}
	return true
}

// noteFound notes files that were changed by hand, as far as they still look the same.
func (v *Volume) noteFound(list []found, h Hand) error {
	v.changing.Lock()
	defer v.changing.Unlock()
	var notes []*catalog.Entry
	for _, f := range list {
		info, err := v.fsys.Stat(f.Path)
		if err != nil || stampOf(info) != f.stamp {
			continue // the next scan sees what has become of it
		}
		if e := v.entryOf(f, h); e != nil {
			notes = append(notes, e)
		}
		if f.Dir { // an earlier run may have made it, and crashed
			if err := v.hold(f.Path); err != nil {
				return err
			}
		}
	}
	return v.index.note(notes...)
}

// entryOf is what is to be noted of a file that was changed by hand; nil: nothing.
func (v *Volume) entryOf(f found, h Hand) *catalog.Entry {
	was, ok := v.index.Find(f.Path)
	ch := catalog.Change{Path: f.Path, Kind: catalog.KindDirectory, Epoch: h.Epoch,
		Apart: !(h.Active && v.looked) && !v.index.fresh}
	if !f.Dir {
		ch.Kind, ch.Size, ch.Sum = catalog.KindFile, f.Size, f.sum
	}
	if ch.Apart {
		ch.Epoch = 0
	}
	// What stands where something was deleted is made of that, whoever made it: the deletion
	// stays known. But for a content that was deleted, which has come back.
	if ok && was.Kind == catalog.KindGone && !slices.Contains(was.Had, ch.Sum) {
		ch.Apart = false
	}
	e := v.index.Changed(ch)
	e.Stamp = f.stamp
	if ok && was.Same(&e) {
		v.index.Restamp(f.Path, f.stamp)
		return nil
	}
	return &e
}

// noteMissing notes that files are not there any more.
func (v *Volume) noteMissing(there map[string]bool, h Hand) error {
	v.changing.Lock()
	defer v.changing.Unlock()
	var deleted []*catalog.Entry
	var lost, missing []string
	for _, e := range v.index.All() {
		if !e.Alive() || there[e.Path] {
			continue
		}
		if _, err := v.fsys.Stat(e.Path); !errors.Is(err, fs.ErrNotExist) {
			continue // it has come meanwhile, or cannot be used
		}
		missing = append(missing, e.Path)
		if !h.Active || !v.looked || len(there) == 0 {
			lost = append(lost, e.Path)
			continue
		}
		gone := v.index.Changed(catalog.Change{Path: e.Path, Kind: catalog.KindGone, Epoch: h.Epoch})
		deleted = append(deleted, &gone)
	}
	v.looked, v.index.fresh = true, false
	if err := v.holdMissing(missing...); err != nil {
		return err
	}
	if len(lost) > 0 {
		v.index.forget(lost...)
		v.index.session = random() // who knows of them begins anew: nobody tells of what is forgotten
	}
	for part := deleted; len(part) > 0; part = part[min(len(part), maxBatch):] {
		if err := v.index.note(part[:min(len(part), maxBatch)]...); err != nil {
			return err
		}
	}
	return nil
}

// settleLocked notes what was changed by hand at one path, before something else is made
// of it.
func (v *Volume) settleLocked(p string, h Hand) error {
	if v.index == nil {
		return nil
	}
	info, err := v.fsys.Stat(p)
	if err != nil {
		return nil // there is nothing, or nothing that can be used
	}
	f := found{Info: infoOf(p, info), stamp: stampOf(info)}
	e, ok := v.index.Find(p)
	if ok && e.Alive() && f.Dir == (e.Kind == catalog.KindDirectory) && (f.Dir || matches(e.Stamp, f.stamp)) {
		return nil
	}
	if !f.Dir {
		sum, err := v.Verify(context.Background(), p)
		if err != nil {
			return err
		}
		f.sum, _ = catalog.ParseSum(sum.SHA256)
	}
	if e := v.entryOf(f, h); e != nil {
		return v.index.note(e)
	}
	return nil
}

package vfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// part begins the names of files that are being copied from the other unit. They outlive
// a crash, and the copy goes on where it stopped.
const part = reserved + "part-"

// Offer is what another disk says of one path.
type Offer struct {
	Entry catalog.Entry
	// Open returns the content of the entry from an offset on; the caller closes it.
	Open func(ctx context.Context, offset int64) (io.ReadCloser, error)
	Unit string // this unit: whose a file is that is kept beside another one
	Hand Hand
}

// Accepted is what has become of an offer.
type Accepted struct {
	Action  catalog.Action // what was done
	Left    bool           // the content is not here yet: the other disk has to keep it beside the one that is
	Bytes   int64          // that were copied
	Kept    string         // the path that a file has now which was changed here apart from the offered one
	Trimmed int            // files kept beside that were too many, and were deleted
}

// Accept makes what another disk says of a path true here, unless what is here is newer. A
// file is replaced as a whole: after a crash it is the old one or the new one. Where both
// were changed apart from each other, one of the two keeps the name, and the other is kept
// beside it: nothing is lost. Content is read from the offer only where it is needed, once
// its room is there; what was read of it before a failure is not read again.
//
// Errors of reading are those of Open. ErrSum says that the content was another one: the
// other disk has changed it since then.
func (v *Volume) Accept(ctx context.Context, o *Offer) (Accepted, error) {
	d, err := v.decide(o, nil)
	if err != nil || d.Action == catalog.ActionNone {
		return Accepted{Left: d.Left}, v.about(o, err)
	}
	var bytes int64
	if d.Action == catalog.ActionTake {
		if bytes, err = v.fetch(ctx, o); err != nil {
			return Accepted{}, v.about(o, err)
		}
	}
	done := Accepted{Action: d.Action, Bytes: bytes}
	if d, err = v.decide(o, &done); err == nil && d.Action == catalog.ActionNone { // changed meanwhile
		done = Accepted{Left: d.Left}
	}
	return done, v.about(o, err)
}

func (v *Volume) about(o *Offer, err error) error {
	if err == nil {
		return nil
	}
	return v.wrong("replicating", o.Entry.Path, err)
}

// decide judges an offer, and carries out what is to be done where done is not nil.
func (v *Volume) decide(o *Offer, done *Accepted) (catalog.Decision, error) {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil {
		return catalog.Decision{}, ErrReadOnly
	}
	if err := v.settleLocked(o.Entry.Path, o.Hand); err != nil {
		return catalog.Decision{}, err
	}
	d := v.index.Merge(&o.Entry)
	switch {
	case d.Action == catalog.ActionNone && d.Noted:
		was, _ := v.index.Find(o.Entry.Path)
		d.Entry.Stamp = was.Stamp
		return d, v.index.note(&d.Entry)
	case d.Action == catalog.ActionNone || done == nil:
		return d, nil
	}
	done.Action = d.Action
	switch d.Action {
	case catalog.ActionTake:
		return d, v.takeLocked(o, d, done)
	case catalog.ActionMake:
		return d, v.makeLocked(o, d, done)
	case catalog.ActionRemove:
		return d, v.dropLocked(o, d)
	}
	return d, nil
}

// takeLocked puts the content that was fetched in its place.
func (v *Volume) takeLocked(o *Offer, d catalog.Decision, done *Accepted) error {
	e, from := d.Entry, partOf(&o.Entry)
	info, err := v.fsys.Stat(from)
	if err != nil {
		return err
	}
	ours, there := v.index.Find(e.Path)
	if there && ours.Kind == catalog.KindDirectory {
		if err := v.unlink(e.Path); errors.Is(err, syscall.ENOTEMPTY) {
			done.Action, done.Left = catalog.ActionNone, true
			return v.reviveLocked(e.Path, nil)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	notes, beside, err := v.beforeLocked(o, d, ours)
	if err != nil {
		return err
	}
	if beside != nil {
		done.Kept = beside.Path
	}
	e.Stamp, e.Aside = lasting(stampOf(info)), from
	err = v.placeNoted(append(notes, &e), func() error {
		if beside != nil {
			if err := rename(v.fsys, e.Path, beside.Path); err != nil {
				return err
			}
		}
		return v.place(from, e.Path)
	})
	if err == nil {
		done.Trimmed, err = v.trimLocked(beside, &e)
	}
	return err
}

// beforeLocked makes the directories that an entry belongs in, and returns the notes that
// come before its own: of those, and of the file that is to be kept beside (besideLocked).
func (v *Volume) beforeLocked(o *Offer, d catalog.Decision, ours catalog.Entry) (notes []*catalog.Entry,
	beside *catalog.Entry, err error) {
	made, err := mkdirs(v.fsys, path.Dir(d.Entry.Path), dirMode)
	if err != nil {
		return nil, nil, err
	}
	notes = v.madeEntries(made, Hand{Epoch: d.Entry.Seen.Epoch()})
	if beside, err = v.besideLocked(o, d, ours); err != nil || beside == nil {
		return notes, nil, err
	}
	return append(notes, beside), beside, nil
}

// makeLocked makes a directory, in the place of a file where there is one.
func (v *Volume) makeLocked(o *Offer, d catalog.Decision, done *Accepted) error {
	e := d.Entry
	e.Stamp = "directory"
	ours, _ := v.index.Find(e.Path)
	notes, beside, err := v.beforeLocked(o, d, ours)
	if err != nil {
		return err
	}
	if beside != nil {
		done.Kept = beside.Path
	}
	err = v.placeNoted(append(notes, &e), func() (err error) {
		switch {
		case beside != nil:
			err = rename(v.fsys, e.Path, beside.Path)
		case ours.Kind == catalog.KindFile:
			err = v.unlink(e.Path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := v.fsys.Mkdir(e.Path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return v.hold(e.Path)
	})
	if err == nil {
		done.Trimmed, err = v.trimLocked(beside, nil)
	}
	return err
}

// dropLocked deletes what was deleted on the other disk.
func (v *Volume) dropLocked(o *Offer, d catalog.Decision) error {
	e := d.Entry
	info, err := v.fsys.Stat(e.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := v.holdMissing(e.Path); err != nil {
			return err
		}
		return v.index.note(&e)
	}
	if info.IsDir() {
		switch err := v.unlink(e.Path); {
		case errors.Is(err, syscall.ENOTEMPTY): // what is in it was made since then
			return v.reviveLocked(e.Path, o.Entry.Seen)
		case err != nil:
			return err
		}
		return v.index.note(&e)
	}
	e.Stamp = lasting(stampOf(info))
	return v.placeNoted([]*catalog.Entry{&e}, func() error { return v.unlink(e.Path) })
}

// reviveLocked notes that a directory is still there, which somebody else has deleted or
// replaced: it has something in it.
func (v *Volume) reviveLocked(p string, seen catalog.History) error {
	was, _ := v.index.Find(p)
	e := v.index.Changed(catalog.Change{Path: p, Kind: catalog.KindDirectory, Epoch: was.Seen.With(seen...).Epoch()})
	e.Seen, e.Stamp = e.Seen.With(seen...), "directory"
	return v.index.note(&e)
}

// besideLocked is the note of a file that is to be kept beside the one that takes its name;
// nil: there is none.
func (v *Volume) besideLocked(o *Offer, d catalog.Decision, ours catalog.Entry) (*catalog.Entry, error) {
	if !d.Beside {
		return nil, nil
	}
	info, err := v.fsys.Stat(ours.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // somebody has deleted it by hand
	} else if err != nil {
		return nil, err
	}
	to := v.index.Beside(ours.Path, o.Unit, info.ModTime())
	if _, err := v.fsys.Stat(to); err == nil {
		return nil, fmt.Errorf("%s is there already", to)
	}
	e := v.index.Changed(catalog.Change{Path: to, Kind: catalog.KindFile, Size: ours.Size, Sum: ours.Sum, Kept: true,
		Epoch: ours.Version.Epoch})
	e.Stamp = lasting(ours.Stamp)
	return &e, nil
}

// trimLocked deletes what is too much of files that were kept beside the same name, and
// returns how many those were.
func (v *Volume) trimLocked(list ...*catalog.Entry) (n int, err error) {
	for _, e := range list {
		if e == nil || !e.Kept {
			continue
		}
		for _, p := range v.index.Oldest(e.Path) {
			was, _ := v.index.Find(p)
			if err := v.removeLocked(p, Hand{Active: true, Epoch: was.Seen.Epoch()}); err != nil &&
				!errors.Is(err, fs.ErrNotExist) {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// partOf is the name that a content has while it is copied.
func partOf(e *catalog.Entry) string { return "/" + part + e.Sum.String() }

// fetch copies the content of an offer to a file of its own, and returns how many bytes it
// has read. It goes on where an earlier call has stopped.
func (v *Volume) fetch(ctx context.Context, o *Offer) (n int64, err error) {
	name := partOf(&o.Entry)
	if err := v.DropParts(name); err != nil {
		return 0, err
	}
	f, err := v.fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sum := sha256.New()
	had, err := copyAll(ctx, sum, io.LimitReader(f, o.Entry.Size), nil)
	if err != nil {
		return 0, err
	}
	if err := v.quota.Fits(o.Entry.Size - had); err != nil {
		return 0, errors.Join(err, v.DropParts(""))
	}
	if had < o.Entry.Size || o.Entry.Size == 0 {
		if n, err = v.receive(ctx, o, f, sum, had); err != nil {
			return n, err
		}
	}
	if catalog.Sum(sum.Sum(nil)) != o.Entry.Sum || had+n != o.Entry.Size {
		return n, errors.Join(ErrSum, v.DropParts(""))
	}
	return n, f.Sync()
}

// receive appends the rest of a content to a file.
func (v *Volume) receive(ctx context.Context, o *Offer, f io.Writer, sum hash.Hash, had int64) (int64, error) {
	r, err := o.Open(ctx, had)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := copyAll(ctx, io.MultiWriter(f, sum), io.LimitReader(r, o.Entry.Size-had+1), nil)
	var full *QuotaError
	if errors.As(err, &full) {
		err = errors.Join(err, v.DropParts(""))
	}
	return n, err
}

// DropParts deletes contents whose copying has not ended, but for one of that name.
func (v *Volume) DropParts(but string) error {
	d, err := v.fsys.Open("/")
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	for _, name := range names {
		if strings.HasPrefix(name, part) && "/"+name != but {
			err = errors.Join(err, v.fsys.Remove("/"+name))
		}
	}
	return err
}

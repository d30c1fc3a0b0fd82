package disks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/warrenvpn/warren/vfs"
)

// following is the work on one disk.
type following struct {
	*follower
	peer    Peer
	tenant  string
	disk    *vfs.Volume
	standby bool // what the context is here

	copied, deleted int
	bytes           int64
}

// over says that the context has changed its role here.
func (f *following) over() error {
	if f.disks.standby(f.tenant) != f.standby {
		return errNoLonger
	}
	return nil
}

// report logs what was done.
func (f *following) report() {
	switch {
	case f.copied == 0 && f.deleted == 0:
	case f.standby:
		f.log.Info("files replicated", "tenant", f.tenant, "count", f.copied, "bytes", f.bytes, "deleted", f.deleted)
	default:
		f.log.Warn("files taken that only the standby unit had", "tenant", f.tenant, "count", f.copied,
			"bytes", f.bytes)
	}
}

// listed are the files of the peer by path. A name that cannot be is an error.
func (f *following) listed(m Manifest) (map[string]vfs.Info, error) {
	list := map[string]vfs.Info{}
	for _, one := range m.Files {
		n, err := vfs.ParseName(f.name(one.Path))
		if err != nil || n.Path != one.Path || n.Path == "/" {
			return nil, fmt.Errorf("the peer has the file %q, which cannot be", one.Path)
		}
		list[one.Path] = one
	}
	return list, nil
}

// mirror makes the disk of this standby unit equal to that of the active unit: first it
// moves files aside that the active unit has with another content, then it copies files
// that differ, and at last it deletes files that were deleted there. Where the disk is too
// full for that it deletes before it copies.
func (f *following) mirror(ctx context.Context, want Manifest, have vfs.Manifest) error {
	wanted, err := f.listed(want)
	if err != nil {
		return err
	}
	gone := map[vfs.Gone]bool{}
	for _, g := range want.Gone {
		gone[g] = true
	}
	old, err := f.makeWay(wanted, gone, have)
	if err != nil {
		return err
	}
	err = f.copyAll(ctx, want, old)
	var full *vfs.QuotaError
	again := errors.As(err, &full)
	if err != nil && !again {
		return err
	}
	for _, one := range slices.Backward(have.Files) {
		_, there := wanted[one.Path]
		if _, here := old[one.Path]; here && !there && gone[goneOf(one)] {
			if err := f.remove(one); err != nil {
				return err
			}
		}
	}
	if again {
		return f.copyAll(ctx, want, old)
	}
	return nil
}

// goneOf is how a file is called when it is gone.
func goneOf(i vfs.Info) vfs.Gone { return vfs.Gone{Path: i.Path, SHA256: i.SHA256} }

// makeWay moves aside what the active unit has another one of, and never had
// itself. It returns what is on the disk then.
func (f *following) makeWay(wanted map[string]vfs.Info, gone map[vfs.Gone]bool,
	have vfs.Manifest) (map[string]vfs.Info, error) {
	old := map[string]vfs.Info{}
	below := "" // a directory that was moved
	for _, one := range have.Files {
		if below != "" && strings.HasPrefix(one.Path, below) {
			continue
		}
		w, there := wanted[one.Path]
		switch {
		case !there || w.Dir && one.Dir || !w.Dir && !one.Dir && (w.SHA256 == one.SHA256 || gone[goneOf(one)]):
			old[one.Path] = one
		case !one.Dir && gone[goneOf(one)]: // a directory takes its place
			if err := f.remove(one); err != nil {
				return nil, err
			}
		default:
			if err := f.putAside(one, gone, have); err != nil {
				return nil, err
			}
			if below = ""; one.Dir {
				below = one.Path + "/"
			}
		}
	}
	return old, nil
}

// putAside gives a file another name, or a directory with what of it the active
// unit has not deleted.
func (f *following) putAside(which vfs.Info, gone map[vfs.Gone]bool, have vfs.Manifest) error {
	if which.Dir {
		for _, one := range slices.Backward(have.Files) {
			if strings.HasPrefix(one.Path, which.Path+"/") && gone[goneOf(one)] {
				if err := f.remove(one); err != nil {
					return err
				}
			}
		}
		before := f.deleted
		if err := f.remove(which); err != nil || f.deleted > before {
			return err
		}
	}
	if err := f.over(); err != nil {
		return err
	}
	name := path.Base(which.Path)
	mark := fmt.Sprintf("~%s-%s", f.disks.cfg.Unit, f.now().UTC().Format("2006-01-02T15:04:05.000"))
	for len(name)+len(mark) > maxKept {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if err := f.disk.Move(which.Path, name+mark); err != nil {
		return err
	}
	f.log.Warn("file kept beside: the active unit has another one of this name, and never had this one",
		"tenant", f.tenant, "file", f.name(which.Path), "kept", name+mark)
	return nil
}

// name is the whole name of a path.
func (f *following) name(path string) string { return f.tenant + ":" + vfs.Disk + ":" + path }

// remove deletes a file, or a directory that is empty, if it is still there.
func (f *following) remove(which vfs.Info) error {
	if err := f.over(); err != nil {
		return err
	}
	switch err := f.disk.Remove(which.Path); {
	case err == nil:
		f.deleted++
	case which.Dir && errors.Is(err, syscall.ENOTEMPTY): // something in it stays
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return err
	}
	return nil
}

// backfill copies what the standby unit has and this one never had.
func (f *following) backfill(ctx context.Context, theirs Manifest, have vfs.Manifest) error {
	listed, err := f.listed(theirs)
	if err != nil {
		return err
	}
	for _, one := range have.Files {
		delete(listed, one.Path)
	}
	for _, one := range theirs.Files {
		if _, missing := listed[one.Path]; !missing || f.disk.IsGone(goneOf(one)) {
			continue
		}
		switch err := f.copyMissing(ctx, one); {
		case errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR): // it is in the way of something newer here
		case err != nil:
			return err
		}
	}
	return nil
}

// copyMissing copies one file that is not here, unless it comes to be here meanwhile.
func (f *following) copyMissing(ctx context.Context, one vfs.Info) error {
	if err := f.over(); err != nil {
		return err
	}
	if one.Dir {
		return f.disk.MakeDir(one.Path)
	}
	return f.copy(ctx, one, func() error {
		if f.disk.IsGone(goneOf(one)) {
			return fs.ErrExist
		}
		if _, err := f.disk.Stat(one.Path); !errors.Is(err, fs.ErrNotExist) {
			return fs.ErrExist
		}
		return f.over()
	})
}

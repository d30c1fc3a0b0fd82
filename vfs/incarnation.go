package vfs

import (
	"errors"
	"io/fs"

	"github.com/spf13/afero"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// identify gives a disk that has just been opened, and that nothing is known of, an identity.
// That of an empty disk is made here. It is on the disk before anybody hears of it: the other
// unit may take it for its own. Where it cannot be written the disk has none, and takes that of
// the other unit's or, once it is opened again, one of its own.
func (v *Volume) identify() {
	x := v.index
	switch is := x.Incarnation(); {
	case is.Later && x.Len() == 0 && x.Head() <= skipped:
		x.fresh = true // SetAside has made the index
	case is.ID != 0:
	case x.fresh && v.blankLocked():
		x.Become(NewIncarnation())
		if x.add(&catalog.Batch{}) != nil {
			x.Become(catalog.Incarnation{})
		}
	default:
		x.Become(catalog.Incarnation{ID: catalog.Unnamed})
	}
}

// blankLocked reports whether there is nothing on the disk, and nothing is known of it.
func (v *Volume) blankLocked() bool {
	if v.quota == nil || v.index.Len() > 0 {
		return false
	}
	used, _ := v.quota.Usage()
	return used.Files == 0
}

// Become changes the identity of the disk from what it was to next, for good when it returns.
// It tells whether it has: not where the identity is another one by now, or the disk is to be
// blank and is not.
func (v *Volume) Become(was, next catalog.Incarnation, blank bool) (bool, error) {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil || v.index.Incarnation() != was || blank && !v.blankLocked() {
		return false, nil
	}
	if err := v.index.add(&catalog.Batch{Incarnation: next}); err != nil {
		return false, v.wrong("noting", "/", err)
	}
	v.index.Become(next)
	if was.ID != next.ID {
		v.index.session = random() // what was told of the disk before is not of this one
	}
	return true, nil
}

// NewIncarnation returns an identity that no other disk has.
func NewIncarnation() catalog.Incarnation { return catalog.Incarnation{ID: random()} }

// end closes the disk. Whoever still has it open changes nothing any more: neither files nor
// the index, which somebody else may have by now.
func (v *Volume) end() error {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil || v.index.session == 0 {
		return nil
	}
	v.index = &index{Catalog: catalog.New(v.index.Disk()), fsys: afero.NewReadOnlyFs(afero.NewMemMapFs()),
		path: v.index.path, stale: true}
	err := v.close()
	v.close = func() error { return nil }
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

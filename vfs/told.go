package vfs

import (
	"io"
	"io/fs"

	"github.com/warrenvpn/warren/vfs/catalog"
)

// State is where the catalogue of a volume is.
type State struct {
	// Session names this use of the catalogue: positions of another one say nothing. It is a
	// new one, too, once files are missing that the other unit has to give again.
	Session uint64
	Head    uint64 // the position of the last change
	Kept    int    // files that are kept beside others, because both units had changed them
	Dropped uint64 // deletions that were forgotten before the other unit had heard of them

	Incarnation catalog.Incarnation // which disk of its name it is
	Blank       bool                // there is nothing on the disk, and there never was
}

// State returns the state of the volume's catalogue; nothing where there is none.
func (v *Volume) State() State {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil {
		return State{}
	}
	return State{v.index.session, v.index.Head(), v.index.Kept(), v.index.dropped, v.index.Incarnation(),
		v.blankLocked()}
}

// News returns what has changed behind a position of a session; everything where the session
// is another one.
func (v *Volume) News(session, since uint64) catalog.News {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil {
		return catalog.News{}
	}
	x := v.index
	if session != x.session || since > x.Head() {
		since = 0
	}
	list := x.Since(since, catalog.MaxTold+1)
	n := catalog.News{Session: x.session, UpTo: x.Head()}
	if len(list) > catalog.MaxTold {
		list = list[:catalog.MaxTold]
		n.More, n.UpTo = true, list[len(list)-1].Position
	}
	n.Entries = list
	return n
}

// Position returns the position of what is known of a path; 0 for nothing.
func (v *Volume) Position(p string) uint64 {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil {
		return 0
	}
	e, _ := v.index.Find(p)
	return e.Position
}

// Acknowledge says that the other disk has everything up to a position of this session, so
// that the oldest tombstones which it has can be forgotten, as far as they are more than
// some hundred.
func (v *Volume) Acknowledge(position uint64) {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil {
		return
	}
	settled, _ := v.index.Excess(position, catalog.KeepGone, catalog.MaxGone)
	v.index.forget(settled...)
}

// OpenSum returns a content of a file from an offset on; fs.ErrNotExist where the file has
// another one. The caller closes it.
func (v *Volume) OpenSum(p string, sum catalog.Sum, offset int64) (Info, io.ReadCloser, error) {
	v.changing.Lock()
	defer v.changing.Unlock()
	if v.index == nil {
		return Info{}, nil, v.wrong("reading", p, ErrReadOnly)
	}
	e, ok := v.index.Find(p)
	if !ok || e.Kind != catalog.KindFile || e.Sum != sum || offset > e.Size || offset < 0 {
		return Info{}, nil, v.wrong("reading", p, fs.ErrNotExist)
	}
	info, r, err := v.Open(p)
	if err != nil {
		return Info{}, nil, err
	}
	if s, ok := r.(io.Seeker); ok && offset > 0 {
		if _, err := s.Seek(offset, io.SeekStart); err != nil {
			r.Close()
			return Info{}, nil, v.wrong("reading", p, err)
		}
	}
	return info, r, nil
}

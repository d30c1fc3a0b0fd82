package disks

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/warrenvpn/warren/vfs"
	"github.com/warrenvpn/warren/vfs/catalog"
)

const (
	// awaitLimit is how long the answer to a change of a file waits for the standby
	// unit to have it, and awaitFirst and awaitAgain how often that is asked meanwhile:
	// first and at last.
	awaitLimit = 5 * time.Second
	awaitFirst = 2 * time.Millisecond
	awaitAgain = 50 * time.Millisecond
)

// noteTaken notes how far a disk here has what the peer's has.
func (d *Disks) noteTaken(tenant string, f *following) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken[tenant] = Taken{f.session, f.position, slices.Sorted(maps.Keys(f.lacks))}
}

// notePeer notes how far the peer says that it has what our disks have.
func (d *Disks) notePeer(list []Version) {
	for _, one := range list {
		v, err := d.volume(one.Context)
		if err != nil {
			continue
		}
		t, st := one.Taken, v.State()
		if one.Session == 0 && one.Standby && one.Follows == v.Version() { // an older program
			t = Taken{Session: st.Session, Position: st.Head}
		}
		if apart(st.Incarnation, one.Incarnation) {
			t = Taken{} // it is of another disk
		}
		d.mu.Lock()
		d.has[one.Context] = t
		d.mu.Unlock()
		if t.Session == st.Session && len(t.Lacks) == 0 {
			v.Acknowledge(t.Position)
		}
	}
}

// pending tells whether the disk of a context that is active here has something
// that the standby unit is not known to have: at a path, or anywhere ("").
func (d *Disks) pending(n vfs.Name, path string) bool {
	return n.Volume == vfs.Disk && d.paired(n.Context) && !d.standby(n.Context) && d.behind(n, path)
}

// behind tells whether the other unit is not known to have what a disk here has: at a path,
// or kept beside it, which may be what was just written there.
func (d *Disks) behind(n vfs.Name, path string) bool {
	v, err := d.volume(n.Context)
	if err != nil {
		return true // the context has just gone
	}
	st := v.State()
	need := st.Head
	if path != "" {
		need = v.Position(path)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.has[n.Context]
	return t.Session != st.Session || t.Position < need || slices.ContainsFunc(t.Lacks, func(lack string) bool {
		return path == "" || lack == path || catalog.IsBeside(lack, path)
	})
}

// await waits until the standby unit has what a path of a disk has, for a while, and
// tells whether it is still pending then.
func (d *Disks) await(ctx context.Context, n vfs.Name) bool {
	if n.Volume != vfs.Disk || !d.paired(n.Context) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	for wait := awaitFirst; d.behind(n, n.Path); wait = min(2*wait, awaitAgain) {
		peer := d.cfg.Peer()
		if peer == nil {
			return true
		}
		if list, err := peer.Versions(ctx, true); err == nil {
			d.notePeer(list)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return d.behind(n, n.Path)
		}
	}
	return false
}

// Versions tells in which state the disks are. With wake they are compared with the other
// unit's right afterwards.
func (d *Disks) Versions(wake bool) ([]Version, error) {
	if wake {
		defer func() {
			select {
			case d.wake <- struct{}{}:
			default:
			}
		}()
	}
	var out []Version
	for _, tenant := range d.tenants() {
		v, err := d.volume(tenant)
		if err != nil {
			continue // it has just gone
		}
		st := v.State()
		one := Version{Context: tenant, Version: v.Version(), Standby: d.standby(tenant), Session: st.Session,
			Head: st.Head, Kept: st.Kept, Incarnation: st.Incarnation, Blank: st.Blank}
		d.mu.Lock()
		one.Taken = d.taken[tenant]
		d.mu.Unlock()
		out = append(out, one)
	}
	return out, nil
}

// Replication tells how many files on disk0: of a context are kept beside others, and
// whether something is not known to be on the standby unit yet.
func (d *Disks) Replication(tenant string) (kept int, pending bool) {
	n := vfs.Name{Context: tenant, Volume: vfs.Disk, Path: "/"}
	v, err := d.store.Volume(n)
	if err != nil {
		return 0, false // the context has just gone
	}
	return v.State().Kept, d.pending(n, "")
}

// News returns what has changed on disk0: of a context behind a position of a session.
func (d *Disks) News(tenant string, session, since uint64) (catalog.News, error) {
	v, err := d.volume(tenant)
	if err != nil {
		return catalog.News{}, fileError(err)
	}
	return v.News(session, since), nil
}

// OpenSum returns a content of a file on disk0: from an offset on; the caller closes it.
func (d *Disks) OpenSum(name, sum string, offset int64) (File, io.ReadCloser, error) {
	v, n, err := d.find(name)
	if err != nil {
		return File{}, nil, err
	}
	s, _ := catalog.ParseSum(sum)
	info, r, err := v.OpenSum(n.Path, s, offset)
	if err != nil {
		return File{}, nil, fileError(err)
	}
	return fileOf(n, info), r, nil
}

// Manifest returns everything on disk0: of a context, for a unit whose program knows no
// versions.
func (d *Disks) Manifest(tenant string) (Manifest, error) {
	v, err := d.volume(tenant)
	if err != nil {
		return Manifest{}, fileError(err)
	}
	m := v.Manifest()
	return Manifest{Context: tenant, Version: m.Version, Standby: d.standby(tenant), Files: m.Files, Gone: m.Gone}, nil
}

// volume returns disk0: of a context.
func (d *Disks) volume(tenant string) (*vfs.Volume, error) {
	return d.store.Volume(vfs.Name{Context: tenant, Volume: vfs.Disk, Path: "/"})
}

// tenants are the contexts that have a disk0:.
func (d *Disks) tenants() (list []string) {
	for _, n := range d.store.Names() {
		if n.Volume == vfs.Disk {
			list = append(list, n.Context)
		}
	}
	return list
}

// hand is how changes on the host are judged.
func (d *Disks) hand(tenant string) vfs.Hand {
	return vfs.Hand{Active: !d.standby(tenant), Epoch: d.epoch(tenant)}
}

// epoch is the epoch of a context that is active here; 0 of one without a standby unit.
func (d *Disks) epoch(tenant string) uint64 {
	if d.cfg.Epoch == nil {
		return 0
	}
	return d.cfg.Epoch(tenant)
}

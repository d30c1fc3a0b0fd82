package disks

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
)

const (
	// awaitLimit is how long the answer to a change of a file waits for the standby
	// unit to have it, and awaitAgain how often it is asked meanwhile.
	awaitLimit = 5 * time.Second
	awaitAgain = 50 * time.Millisecond
)

// followed says that a disk here, of that version, is what the peer's was.
type followed struct{ theirs, ours string }

// noteFollowed notes that a disk here, of version ours, has all of the peer's version theirs.
func (d *Disks) noteFollowed(tenant, theirs, ours string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.followed[tenant] = followed{theirs, ours}
}

// notePeer notes which versions of our disks the peer says that it has.
func (d *Disks) notePeer(list []Version) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.has)
	for _, one := range list {
		if one.Standby {
			d.has[one.Context] = one.Follows
		}
	}
}

// pending tells whether the disk of a context that is active here has something
// that the standby unit is not known to have.
func (d *Disks) pending(n vfs.Name) bool {
	if n.Volume != vfs.Disk || !d.paired(n.Context) || d.standby(n.Context) {
		return false
	}
	v, err := d.store.Volume(n)
	if err != nil {
		return false
	}
	version, err := v.Version(lookAgain)
	d.mu.Lock()
	defer d.mu.Unlock()
	return err == nil && d.has[n.Context] != version
}

// await waits until the standby unit has what is on the disk of a context, for a
// while, and tells whether it is still pending then.
func (d *Disks) await(ctx context.Context, n vfs.Name) bool {
	if !d.pending(n) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	tick := time.NewTicker(awaitAgain)
	defer tick.Stop()
	for {
		peer := d.cfg.Peer()
		if peer == nil {
			return true
		}
		if list, err := peer.Versions(ctx, true); err == nil {
			d.notePeer(list)
		}
		if !d.pending(n) {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return true
		}
	}
}

// Versions tells in which state the disks are. With wake the disks of standby contexts
// are compared with the other unit's at once.
func (d *Disks) Versions(wake bool) ([]Version, error) {
	if wake {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	var out []Version
	for _, n := range d.store.Names() {
		if n.Volume != vfs.Disk {
			continue
		}
		v, err := d.store.Volume(n)
		if err != nil {
			continue // it has just gone
		}
		version, err := v.Version(lookAgain)
		if err != nil {
			return out, fileError(err)
		}
		one := Version{Context: n.Context, Version: version, Standby: d.standby(n.Context)}
		d.mu.Lock()
		if last := d.followed[n.Context]; one.Standby && last.ours == version {
			one.Follows = last.theirs
		}
		d.mu.Unlock()
		out = append(out, one)
	}
	return out, nil
}

// manifest is all that a disk holds. What was changed on the host counts as gone
// where the context is active: the standby unit does not know better.
func (d *Disks) manifest(ctx context.Context, tenant string, v *vfs.Volume) (vfs.Manifest, error) {
	m, err := v.Manifest(ctx)
	if err == nil && len(m.ByHand) > 0 && !d.standby(tenant) {
		v.MarkGone(m.ByHand)
		m.Gone = append(m.Gone, m.ByHand...)
	}
	return m, err
}

// Manifest returns everything on disk0: of a context.
func (d *Disks) Manifest(ctx context.Context, name string) (Manifest, error) {
	n := vfs.Name{Context: name, Volume: vfs.Disk, Path: "/"}
	v, err := d.store.Volume(n)
	if err != nil {
		return Manifest{}, fileError(err)
	}
	out := Manifest{Context: name, Standby: d.standby(name)}
	m, err := d.manifest(ctx, name, v)
	if err != nil {
		return Manifest{}, fileError(err)
	}
	if d.standby(name) != out.Standby {
		return Manifest{}, &fault.Error{Code: fault.CodeRefused,
			Reason: fmt.Sprintf("context %q has just changed its role on this unit", name), Hint: "ask again"}
	}
	out.Version, out.Files, out.Gone = m.Version, m.Files, m.Gone
	return out, nil
}

package system

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
)

const (
	// awaitLimit is how long the answer to a change of a file waits for the standby
	// unit to have it, and awaitAgain how often it is asked meanwhile.
	awaitLimit = 5 * time.Second
	awaitAgain = 50 * time.Millisecond
)

// replicas is what the units of a pair know of each other's disks. Without a peer
// there is nothing to know.
type replicas struct {
	unit string            // of this node: "primary" or "secondary"
	peer func() peerFiles  // returns nil while there is no way to it; nil: a node alone
	pair func(string) bool // tells whether a context has a standby unit
	wake chan struct{}     // holds one token when the peer has something new

	mu       sync.Mutex // protects what follows
	followed map[string]followed
	has      map[string]string // the version of the disk here that the standby unit has, by context
}

// followed says that a disk here, of that version, is what the peer's was.
type followed struct{ theirs, ours string }

// follow notes the end of a good pass.
func (f *Files) follow(tenant, theirs, ours string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followed[tenant] = followed{theirs, ours}
}

// heard notes what the peer says that it has.
func (f *Files) heard(list api.Versions) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.has)
	for _, d := range list.Disks {
		if d.Standby {
			f.has[d.Context] = d.Follows
		}
	}
}

// pending tells whether the disk of a context that is active here has something
// that the standby unit is not known to have.
func (f *Files) pending(n vfs.Name) bool {
	if n.Volume != vfs.Disk || f.replicas.peer == nil || !f.pair(n.Context) || f.standby(n.Context) {
		return false
	}
	v, err := f.store.Volume(n)
	if err != nil {
		return false
	}
	version, err := v.Version(lookAgain)
	f.mu.Lock()
	defer f.mu.Unlock()
	return err == nil && f.has[n.Context] != version
}

// await waits until the standby unit has what is on the disk of a context, for a
// while, and tells whether it is still pending then.
func (f *Files) await(ctx context.Context, n vfs.Name) bool {
	if !f.pending(n) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	tick := time.NewTicker(awaitAgain)
	defer tick.Stop()
	for {
		peer := f.replicas.peer()
		if peer == nil {
			return true
		}
		if list, err := peer.DiskVersions(ctx, true); err == nil {
			f.heard(list)
		}
		if !f.pending(n) {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return true
		}
	}
}

// follows reports whether a context is standby here, and its disk that of the
// other unit.
func (s *System) follows(tenant string) bool {
	group, ok := s.paired(tenant)
	return ok && s.pair.role(group).Standby()
}

// paired returns the failover group of a context that has a standby unit.
func (s *System) paired(tenant string) (string, bool) {
	t := s.tenant(tenant)
	if s.pair == nil || t == nil {
		return "", false
	}
	w := t.view().want
	return w.FailoverGroup, s.pair.pairs(w)
}

// DiskVersions implements api.Files.
func (f *Files) DiskVersions(_ context.Context, wake bool) (api.Versions, error) {
	if wake {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	var out api.Versions
	for _, n := range f.store.Names() {
		if n.Volume != vfs.Disk {
			continue
		}
		v, err := f.store.Volume(n)
		if err != nil {
			continue // it has just gone
		}
		version, err := v.Version(lookAgain)
		if err != nil {
			return out, fileError(err)
		}
		d := api.DiskVersion{Context: n.Context, Version: version, Standby: f.standby(n.Context)}
		f.mu.Lock()
		if last := f.followed[n.Context]; d.Standby && last.ours == version {
			d.Follows = last.theirs
		}
		f.mu.Unlock()
		out.Disks = append(out.Disks, d)
	}
	return out, nil
}

// manifest is all that a disk holds. What was changed on the host counts as gone
// where the context is active: the standby unit does not know better.
func (f *Files) manifest(ctx context.Context, tenant string, v *vfs.Volume) (vfs.Manifest, error) {
	m, err := v.Manifest(ctx)
	if err == nil && len(m.ByHand) > 0 && !f.standby(tenant) {
		v.MarkGone(m.ByHand)
		m.Gone = append(m.Gone, m.ByHand...)
	}
	return m, err
}

// DiskManifest implements api.Files.
func (f *Files) DiskManifest(ctx context.Context, name string) (api.Manifest, error) {
	n := vfs.Name{Context: name, Volume: vfs.Disk, Path: "/"}
	v, err := f.store.Volume(n)
	if err != nil {
		return api.Manifest{}, fileError(err)
	}
	out := api.Manifest{Context: name, Standby: f.standby(name)}
	m, err := f.manifest(ctx, name, v)
	if err != nil {
		return api.Manifest{}, fileError(err)
	}
	if f.standby(name) != out.Standby {
		return api.Manifest{}, &fault.Error{Code: fault.CodeRefused, Reason: fmt.Sprintf("context %q has just changed its role on this unit", name), Hint: "ask again"}
	}
	out.Version = m.Version
	for _, one := range m.Files {
		row := fileInfo(n, one)
		row.Name = one.Path
		out.Files = append(out.Files, row)
	}
	for _, g := range m.Gone {
		out.Gone = append(out.Gone, api.GoneFile{Name: g.Path, SHA256: g.SHA256})
	}
	return out, nil
}

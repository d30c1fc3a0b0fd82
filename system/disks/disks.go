// Package disks has the files of the contexts of a host: disk0: of each, shared storage,
// and between the units of a pair the replication of disk0:. It does I/O; what a name
// means and what a volume holds it leaves to vfs.
//
// Both units take from each other what is newer (package catalog). On the standby unit of a
// context nobody else changes its disk.
package disks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/plan"
	"github.com/warrenvpn/warren/vfs"
)

// Config is what Disks need. Its functions may be called from several goroutines at once.
type Config struct {
	StateDir string // disks are below it
	Log      *slog.Logger
	// Place is where disks are; nil: below StateDir.
	Place vfs.Place

	// What follows is for one unit of a pair; Peer is nil for a node alone.

	Unit string // "primary" or "secondary": who has kept a file beside another
	// Standby tells of a context that is standby here.
	Standby func(tenant string) bool
	// Paired tells of a context that has a standby unit at all.
	Paired func(tenant string) bool
	// Epoch is the epoch of the failover group of a context that is active here.
	Epoch func(tenant string) uint64
	// Peer returns the disks of the other unit; nil while there is no way to it.
	Peer func() Peer
}

// Disks are the files of all contexts. Their contexts are those of the last Set. Its
// methods may be called from several goroutines at once.
type Disks struct {
	cfg   Config
	store *vfs.Store
	wake  chan struct{} // holds one token when the peer has something new

	mu    sync.Mutex       // protects what follows
	taken map[string]Taken // how far a disk here has what the other unit's has, by context
	has   map[string]Taken // how far the other unit has what a disk here has
}

// New returns Disks without contexts.
func New(cfg *Config) *Disks {
	place := cfg.Place
	if place == nil {
		place = vfs.HostPlace(cfg.StateDir)
	}
	return &Disks{
		cfg: *cfg, store: vfs.NewStore(place), wake: make(chan struct{}, 1),
		taken: map[string]Taken{}, has: map[string]Taken{},
	}
}

// Set makes exactly these contexts have files, each with its limits. Those that
// were there before keep what is open. Files of a context that goes stay on the
// disk. With an error all others are as they should be.
func (d *Disks) Set(list []vfs.Disk0) error { return d.store.Set(list) }

// Of are the files that contexts have.
func Of(list []*plan.Wanted) []vfs.Disk0 {
	var out []vfs.Disk0
	for _, w := range list {
		disk := vfs.Disk0{Context: w.Name, Limit: vfs.Limit{Bytes: w.Spec.Limits.Storage,
			Files: int64(w.Spec.Limits.StorageFiles)}}
		for _, st := range w.Storage {
			disk.Shared = append(disk.Shared, vfs.Shared{Label: st.Label, Dir: st.Path})
		}
		out = append(out, disk)
	}
	return out
}

// CheckStorage says what of a context's shared storage cannot be used.
func CheckStorage(list []configs.Storage) error {
	for _, st := range list {
		switch info, err := os.Stat(st.Path); {
		case err != nil:
			return fmt.Errorf("storage %q: %s: %w; make the directory", st.Label, st.Path, bare(err))
		case !info.IsDir():
			return fmt.Errorf("storage %q: %s is no directory", st.Label, st.Path)
		}
	}
	return nil
}

// Run follows the disks of the other unit until ctx ends. A node alone has nothing to do.
func (d *Disks) Run(ctx context.Context) {
	if d.cfg.Peer != nil {
		newFollower(d).run(ctx)
	}
}

// Close ends the use of files.
func (d *Disks) Close() error { return d.store.Close() }

// standby tells of a context that is standby here.
func (d *Disks) standby(tenant string) bool { return d.cfg.Standby != nil && d.cfg.Standby(tenant) }

// paired tells of a context that has a standby unit.
func (d *Disks) paired(tenant string) bool {
	return d.cfg.Peer != nil && d.cfg.Paired != nil && d.cfg.Paired(tenant)
}

// Resources are what disk0: of a context holds, for `show resource usage`.
func (d *Disks) Resources(tenant string) []control.Resource {
	v, err := d.store.Volume(vfs.Name{Context: tenant, Volume: vfs.Disk, Path: "/"})
	if err != nil {
		return nil // the context has just gone
	}
	used, limit := v.Usage()
	peak, denied := v.Peak()
	return []control.Resource{
		{Context: tenant, Resource: string(resource.Storage), Unit: resource.Bytes,
			Current: used.Bytes, Peak: peak.Bytes, Limit: limit.Bytes, Denied: denied.Bytes},
		{Context: tenant, Resource: string(resource.StorageFiles),
			Current: used.Files, Peak: peak.Files, Limit: limit.Files, Denied: denied.Files},
	}
}

// bare takes operation and path off an error: the message has them already.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

package vfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/afero"
)

// DefaultFiles is the limit of files and directories on a disk0: whose Disk has
// none: inodes are shared by all contexts.
const DefaultFiles = 10_000

// Disk0 is what one context gets.
type Disk0 struct {
	Context string
	Limit   Limit // of disk0:; no limit of files means DefaultFiles
	Shared  []Shared
}

// Shared is a directory of the host that a context may read.
type Shared struct {
	Label string // name of the volume: "images" for "blue:images:/x" and the system's "images:/x"
	Dir   string // absolute path on the host
}

// DiskDir returns the directory that is disk0: of a context.
func DiskDir(stateDir, tenant string) string {
	return filepath.Join(stateDir, "contexts", tenant, Disk)
}

// Store is the volumes of all contexts. It may be used by many goroutines at
// once.
type Store struct {
	place Place

	mu      sync.RWMutex // protects what follows, and is not held across I/O on files
	tenants map[string]map[string]*Volume
	system  map[string]*Volume // shared storage by label
	dirs    map[string]*Volume // the same by directory

	setting sync.Mutex // orders calls of Set; taken before mu
}

// Place opens the directory of a context that its disk is in, below the name of Disk, with
// the directory itself. It returns the file system of the disk, in which nothing leads out,
// that of the directory, and what closes both.
type Place func(tenant string) (disk, beside afero.Fs, close func() error, err error)

// HostPlace is where disks are on this host: below state_dir.
func HostPlace(stateDir string) Place {
	return func(tenant string) (disk, beside afero.Fs, close func() error, err error) {
		dir := DiskDir(stateDir, tenant)
		if err := makeForGood(dir); err != nil {
			return nil, nil, nil, fmt.Errorf("vfs: making disk0: of context %s: %w", tenant, err)
		}
		root, err := OpenRootFS(dir)
		if err != nil {
			return nil, nil, nil, err
		}
		return root, afero.NewBasePathFs(afero.NewOsFs(), filepath.Dir(dir)), root.Close, nil
	}
}

// makeForGood makes a directory of the host, and those that it is in.
func makeForGood(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeForGood(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(afero.NewOsFs(), above)
}

// NewStore returns a Store without contexts.
func NewStore(place Place) *Store {
	return &Store{place: place, tenants: map[string]map[string]*Volume{}, system: map[string]*Volume{},
		dirs: map[string]*Volume{}}
}

// Set makes the store hold exactly these contexts. Files of a context that goes
// stay on the disk. A context that cannot be served has an error, and all
// others are as they should be.
func (s *Store) Set(list []Disk0) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	s.mu.RLock()
	oldTenants, oldDirs := s.tenants, s.dirs
	s.mu.RUnlock()

	var errs []error
	next := map[string]map[string]*Volume{}
	system, dirs := map[string]*Volume{}, map[string]*Volume{}
	disks, failed := s.disks(list, oldTenants)
	for i, d := range list {
		if failed[i] != nil {
			errs = append(errs, failed[i])
			continue
		}
		next[d.Context] = map[string]*Volume{Disk: disks[i]}
		for _, sh := range d.Shared {
			if err := share(sh, d.Context, next[d.Context], system, dirs, oldDirs); err != nil {
				errs = append(errs, err)
			}
		}
	}

	s.mu.Lock()
	s.tenants, s.system, s.dirs = next, system, dirs
	s.mu.Unlock()
	for name, volumes := range oldTenants {
		if next[name] == nil {
			errs = append(errs, volumes[Disk].Close())
		}
	}
	for dir, v := range oldDirs {
		if dirs[dir] == nil {
			errs = append(errs, v.Close())
		}
	}
	return errors.Join(errs...)
}

// opensAtOnce is how many disks are opened at once. A new one is synced four times, and a
// file system does that for many in the time of one.
const opensAtOnce = 16

// disks returns disk0: of each context, or why there is none.
func (s *Store) disks(list []Disk0, open map[string]map[string]*Volume) (disks []*Volume, failed []error) {
	disks, failed = make([]*Volume, len(list)), make([]error, len(list))
	slots := make(chan struct{}, opensAtOnce)
	var opening sync.WaitGroup
	for i, d := range list {
		slots <- struct{}{}
		opening.Go(func() {
			disks[i], failed[i] = s.disk(d, open[d.Context][Disk])
			<-slots
		})
	}
	opening.Wait()
	return disks, failed
}

// disk returns disk0: of a context: the one that is open, or a new one.
func (s *Store) disk(d Disk0, open *Volume) (*Volume, error) {
	limit := d.Limit
	if limit.Files == 0 {
		limit.Files = DefaultFiles
	}
	if open != nil {
		open.SetLimit(limit)
		return open, nil
	}
	if !validLabel(d.Context) {
		return nil, fmt.Errorf("vfs: %q %w of a context", d.Context, ErrName)
	}
	disk, beside, close, err := s.place(d.Context)
	if err != nil {
		return nil, err
	}
	v, err := openNoted(d.Context+":"+Disk+":", disk, beside, "/"+Disk, limit)
	if err != nil {
		close()
		return nil, err
	}
	v.close = close
	return v, nil
}

// Reopen has disk0: of a context replaced while the context is there: it closes the disk, calls
// change, and opens what is there then. Where that cannot be opened, the disk stays closed, and
// a later Reopen tries again. Who still uses the closed disk gets errors and changes nothing.
func (s *Store) Reopen(tenant string, change func() error) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	v, err := s.Volume(Name{Context: tenant, Volume: Disk, Path: "/"})
	if err != nil {
		return err
	}
	_, limit := v.Usage()
	err = v.end()
	if err == nil {
		err = change()
	}
	next, openErr := s.disk(Disk0{Context: tenant, Limit: limit}, nil)
	if openErr != nil {
		return errors.Join(err, openErr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants[tenant][Disk] = next
	return err
}

// share adds shared storage to the volumes of a context and to the system's.
func share(sh Shared, tenant string, mine, system, dirs, old map[string]*Volume) error {
	dir := filepath.Clean(sh.Dir)
	switch {
	case !validLabel(sh.Label) || sh.Label == Disk:
		return fmt.Errorf("vfs: context %s: %q %w of shared storage", tenant, sh.Label, ErrName)
	case !filepath.IsAbs(dir):
		return fmt.Errorf("vfs: context %s: shared storage %s: %q is no absolute path", tenant, sh.Label, sh.Dir)
	case mine[sh.Label] != nil:
		return fmt.Errorf("vfs: context %s has two shared storages with the label %s", tenant, sh.Label)
	case system[sh.Label] != nil && system[sh.Label] != dirs[dir]:
		return fmt.Errorf("vfs: context %s: the label %s stands for another directory elsewhere, and the system has "+
			"one name for it",
			tenant, sh.Label)
	}
	v := dirs[dir]
	if v == nil {
		v = old[dir]
	}
	if v == nil {
		var err error
		if v, err = OpenVolume(sh.Label+":", dir, Limit{}); err != nil {
			return fmt.Errorf("vfs: context %s: shared storage %s: %w", tenant, sh.Label, err)
		}
	}
	dirs[dir], system[sh.Label] = v, v
	mine[sh.Label] = v.ReadOnly(tenant + ":" + sh.Label + ":")
	return nil
}

// Volume returns the volume that a name is on; ErrVolume if there is none.
func (s *Store) Volume(n Name) (*Volume, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	volumes, ok := s.system, true
	if n.Context != "" {
		volumes, ok = s.tenants[n.Context]
	}
	if !ok {
		return nil, fmt.Errorf("vfs: %w: there is no context %s", ErrVolume, n.Context)
	}
	if v := volumes[n.Volume]; v != nil {
		return v, nil
	}
	var have []string
	for name := range volumes {
		have = append(have, name+":")
	}
	slices.Sort(have)
	switch {
	case n.Context == "" && n.Volume == Disk:
		return nil, fmt.Errorf("vfs: %w: disk0: belongs to a context; name one, as in blue:disk0:%s", ErrVolume, n.Path)
	case len(have) == 0:
		return nil, fmt.Errorf("vfs: %w: the system has no shared storage", ErrVolume)
	case n.Context == "":
		return nil, fmt.Errorf("vfs: %w: the system has %s", ErrVolume, strings.Join(have, ", "))
	}
	return nil, fmt.Errorf("vfs: %w: context %s has %s", ErrVolume, n.Context, strings.Join(have, ", "))
}

// Names returns the root of every volume: the contexts' in the order of their
// names, then the system's.
func (s *Store) Names() []Name {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []Name
	add := func(context string, volumes map[string]*Volume) {
		for _, v := range slices.Sorted(maps.Keys(volumes)) {
			list = append(list, Name{Context: context, Volume: v, Path: "/"})
		}
	}
	for _, context := range slices.Sorted(maps.Keys(s.tenants)) {
		add(context, s.tenants[context])
	}
	add("", s.system)
	return list
}

// Copy copies a file from one volume to another, or within one. Of how, Reader
// and Size are those of the source.
func Copy(ctx context.Context, from *Volume, source string, to *Volume, dest string, how Content) (Info, error) {
	info, r, err := from.Open(source)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	how.Reader, how.Size = r, info.Size
	return to.Replace(ctx, dest, how)
}

// Close closes every volume.
func (s *Store) Close() error { return s.Set(nil) }

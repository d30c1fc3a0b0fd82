package system

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/netns"
)

// rundir is the run_dir of a system, held by one process.
type rundir struct {
	path string
	lock *os.File
}

// openRunDir makes the directory, and locks it against a second warrend.
func openRunDir(path string) (*rundir, error) {
	if err := os.MkdirAll(filepath.Join(path, "records"), 0o755); err != nil {
		return nil, fmt.Errorf("system: making run_dir: %w", err)
	}
	name := filepath.Join(path, "lock")
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("system: opening lock of run_dir: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("system: another warrend runs with run_dir %s; stop it, or give this one "+
					"another run_dir and another name in its system block", path)
			}
			return nil, fmt.Errorf("system: locking run_dir: %w", err)
		}
		if sameFile(f, name) {
			return &rundir{path, f}, nil
		}
		f.Close() // its holder has just removed it
	}
}

func sameFile(f *os.File, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(name)
	return err == nil && os.SameFile(held, there)
}

// close removes what is ours. A directory that holds something else stays.
func (r *rundir) close() {
	os.Remove(filepath.Join(r.path, "records"))
	os.Remove(filepath.Join(r.path, "lock"))
	os.Remove(r.path)
	r.lock.Close()
}

// recover takes away what an earlier process has left: workers and their
// groups, then namespaces, whose devices go back to the host.
func (s *System) recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, teardownTimeout)
	defer cancel()
	for _, name := range s.groups.Groups() {
		if err := s.groups.Open(name).Delete(ctx); err != nil {
			return err
		}
		s.cfg.Log.Warn("left over group removed", "tenant", name)
	}
	if err := s.host.RecoverUplinks(s.recordDir()); err != nil {
		s.cfg.Log.Error("left over failover link not removed", "reason", err.Error())
	}
	records, err := netns.Pending(s.recordDir())
	if err != nil {
		return err
	}
	for _, path := range records {
		if err := s.host.Recover(path); err != nil {
			s.cfg.Log.Error("left over namespace not removed", "record", path, "reason", err.Error())
			continue
		}
		s.cfg.Log.Warn("left over namespace removed, devices given back", "record", filepath.Base(path))
	}
	return nil
}

func (s *System) recordDir() string { return filepath.Join(s.run.path, "records") }

// Users of workers come from a range that no distribution gives out: above the
// container users of systemd, below 2^31. Each system has 4096 of them.
const (
	firstUID      = 0x70000000
	uidsPerSystem = 1 << 12
	uidSystems    = 1 << 16
)

// uids gives every context a user of its own, while it is there.
type uids struct {
	base uint32
	used map[string]uint32
}

func newUIDs(system string) *uids {
	h := fnv.New32a()
	h.Write([]byte(system))
	return &uids{firstUID + h.Sum32()%uidSystems*uidsPerSystem, make(map[string]uint32)}
}

// of returns the user of a context, the same until release.
func (u *uids) of(name string) (uint32, error) {
	if uid, ok := u.used[name]; ok {
		return uid, nil
	}
	taken := make(map[uint32]bool, len(u.used))
	for _, uid := range u.used {
		taken[uid] = true
	}
	for i := range uint32(uidsPerSystem) {
		if uid := u.base + i; !taken[uid] {
			u.used[name] = uid
			return uid, nil
		}
	}
	return 0, fmt.Errorf("system: more than %d contexts", uidsPerSystem)
}

func (u *uids) release(name string) { delete(u.used, name) }

// raiseFileLimit makes room for the sockets of many contexts, as far as we may.
func raiseFileLimit() uint64 {
	const enough = 1 << 20
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil {
		return 0
	}
	for _, limit := range []unix.Rlimit{{Cur: enough, Max: max(enough, now.Max)}, {Cur: now.Max, Max: now.Max}} {
		if limit.Cur > now.Cur && unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
			return limit.Cur
		}
	}
	return now.Cur
}

// checkWorker makes sure that there is a worker program before anything starts.
func checkWorker(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("system: %s is missing; it is built together with warrend and belongs beside it", path)
	}
	return nil
}

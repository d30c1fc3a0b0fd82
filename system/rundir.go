package system

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/system/api"
)

// recover takes away what an earlier process has left: workers and their
// groups, then namespaces, whose devices go back to the host. What a living
// process owns is not touched: then nothing is.
func (s *System) recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, teardownTimeout)
	defer cancel()
	left := s.groups.Groups()
	for _, name := range left {
		if err := s.unowned(name); err != nil {
			return err
		}
	}
	for _, name := range left {
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

// unowned refuses to touch a group whose processes another warrend looks after,
// such as one in another mount namespace, which sees other locks.
func (s *System) unowned(name string) error {
	for _, pid := range s.groups.Open(name).Processes() {
		parent := parentOf(pid)
		if parent <= 1 || parent == os.Getpid() || commandOf(parent) != commandOf(os.Getpid()) {
			continue
		}
		return &api.Error{
			Code:   api.CodeRefused,
			Reason: fmt.Sprintf("context %q of the name %q runs: process %d belongs to another warrend (pid %d). Nothing was touched", name, s.name, pid, parent),
			Hint:   "stop it, or give this one a name, state_dir and run_dir of its own in its system block",
		}
	}
	return nil
}

// parentOf returns the process that has started another one, as far as it lives
// still; 0: there is no such process.
func parentOf(pid int) int {
	for line := range strings.Lines(procFile(pid, "status")) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent, _ := strconv.Atoi(strings.TrimSpace(value))
			return parent
		}
	}
	return 0
}

// commandOf returns the name of the program of a process.
func commandOf(pid int) string { return strings.TrimSpace(procFile(pid, "comm")) }

func procFile(pid int, name string) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	if err != nil {
		return "" // it has ended
	}
	return string(b)
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

// What warrend has open for itself, and for each context, at most.
const (
	filesAlone      = 48
	filesPerContext = 24
)

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

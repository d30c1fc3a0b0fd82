package system

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/pair"
	"github.com/warrenvpn/warren/system/tenants"
)

// recoverTimeout bounds what taking away what is left over may take.
const recoverTimeout = 10 * time.Second

// recover takes away what an earlier process has left: workers and their
// groups, then namespaces, whose devices go back to the host. What a living
// process owns is not touched: then nothing is. What belongs to kept contexts stays.
func (s *System) recover(ctx context.Context, conf *configs.System, kept *tenants.Kept) error {
	ctx, cancel := context.WithTimeout(ctx, recoverTimeout)
	defer cancel()
	left := s.groups.Groups()
	for _, name := range left {
		if err := s.unowned(name); err != nil {
			return err
		}
	}
	for _, name := range left {
		if kept.Has(name) {
			continue
		}
		if err := s.groups.Open(name).Delete(ctx); err != nil {
			return err
		}
		s.cfg.Log.Warn("left over group removed", "tenant", name)
	}
	var links []netns.UplinkConfig
	if kept.Any() {
		links = pair.Uplinks(conf, s.recordDir())
	}
	if err := s.host.RecoverUplinks(s.recordDir(), links); err != nil {
		s.cfg.Log.Error("left over failover link not removed", "reason", err)
	}
	records, err := netns.Pending(s.recordDir())
	if err != nil {
		return err
	}
	for _, path := range records {
		if kept.Has(strings.TrimSuffix(filepath.Base(path), ".json")) {
			continue
		}
		if err := s.host.Recover(path); err != nil {
			s.cfg.Log.Error("left over namespace not removed", "record", path, "reason", err)
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
		return &fault.Error{
			Code: fault.CodeRefused,
			Reason: fmt.Sprintf(
				"context %q of the name %q runs: process %d belongs to another warrend (pid %d). Nothing was touched",
				name, s.name, pid, parent),
			Hint: "stop it, or give this one a name, state_dir and run_dir of its own in its system block",
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

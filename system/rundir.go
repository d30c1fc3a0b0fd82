package system

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
)

const (
	// namesDir is where names of systems are locked: on a host, which has one set
	// of control groups and of names of namespaces, a name belongs to one warrend.
	namesDir = "/run/warrend"
	lockName = "lock"
)

// rundir is the run_dir of a system, held by one process together with the
// system's name and its state_dir.
type rundir struct {
	path  string
	holds configs.Places
	locks []*lock
	made  bool // the directory for records is there
}

// hold locks what a system has for itself against a second warrend: its name,
// state_dir and run_dir. When another has one of them, nothing is touched.
func hold(p configs.Places, config string) (*rundir, error) {
	r := &rundir{path: p.RunDir, holds: p}
	who := fmt.Sprintf("%d %s\n", os.Getpid(), config)
	for _, one := range []struct {
		what, value, path string
		mode              fs.FileMode
	}{
		{"name", strconv.Quote(p.Name), filepath.Join(namesDir, p.Name), 0o700},
		{"state_dir", p.StateDir, filepath.Join(p.StateDir, lockName), 0o755},
		{"run_dir", p.RunDir, filepath.Join(p.RunDir, lockName), 0o755},
	} {
		l, holder, err := acquire(one.path, one.mode, who)
		switch {
		case errors.Is(err, errHeld):
			r.close()
			return nil, &fault.Error{
				Code: fault.CodeRefused,
				Reason: fmt.Sprintf("another warrend%s has the %s %s: nothing was touched", holder, one.what,
					one.value),
				Hint: "stop it, or give this one a name, state_dir and run_dir of its own in its system block",
			}
		case one.what == "state_dir" && errors.Is(err, unix.EROFS):
			continue // nobody can change anything there
		case err != nil:
			r.close()
			return nil, fmt.Errorf("system: locking %s %s: %w", one.what, one.value, err)
		}
		r.locks = append(r.locks, l)
	}
	records := filepath.Join(p.RunDir, "records")
	if err := os.MkdirAll(records, 0o755); err != nil {
		r.close()
		return nil, fmt.Errorf("system: making run_dir: %w", err)
	}
	r.made = true
	return r, nil
}

// close removes what is ours. A directory that holds something else stays.
func (r *rundir) close() {
	if r.made {
		os.Remove(filepath.Join(r.path, "records"))
	}
	for _, l := range r.locks {
		l.release()
	}
	r.locks = nil
	if r.made {
		os.Remove(r.path)
	}
}

package system

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
)

const (
	// namesDir is where names of systems are locked: on a host, which has one set
	// of control groups and of names of namespaces, a name belongs to one warrend.
	namesDir = "/run/warrend"
	lockName = "lock"
	// maxHolder bounds what is read of a lock's holder.
	maxHolder = 8 << 10
)

// lock is a file that this process alone has locked (flock(2)), and says who it
// is. The lock ends with the process, however that ends.
type lock struct {
	*os.File
	remove []string // directories that go with it, if they are empty
}

// errHeld is for a lock that another process has.
var errHeld = errors.New("another warrend")

// acquire makes the file at path, and directories above it that are missing, and
// locks it. With errHeld the string says who has it.
func acquire(path string, mode fs.FileMode, who string) (*lock, string, error) {
	for {
		dir := filepath.Dir(path)
		_, missing := os.Stat(dir)
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, "", err
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its last holder has just removed the directory
		}
		if err != nil {
			return nil, "", err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder := holderOf(f)
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = errHeld
			}
			return nil, holder, err
		}
		if !sameFile(f, path) {
			f.Close() // its holder has just removed it
			continue
		}
		l := &lock{File: f}
		if missing != nil {
			l.remove = append(l.remove, dir)
		}
		_, err = f.WriteAt([]byte(who), 0)
		if err := errors.Join(err, f.Truncate(int64(len(who)))); err != nil {
			l.release()
			return nil, "", err
		}
		return l, "", nil
	}
}

// holderOf reads who has a lock: " (pid 17, /etc/warren/system.hcl)", or "".
func holderOf(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, maxHolder))
	pid, path, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	if _, numErr := strconv.Atoi(pid); err != nil || !ok || numErr != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %s, %s)", pid, path)
}

func sameFile(f *os.File, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(name)
	return err == nil && os.SameFile(held, there)
}

// release gives the lock back, and removes its file.
func (l *lock) release() {
	os.Remove(l.Name())
	for _, dir := range l.remove {
		os.Remove(dir) // what holds something else stays
	}
	l.Close()
}

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
			return nil, &api.Error{
				Code:   api.CodeRefused,
				Reason: fmt.Sprintf("another warrend%s has the %s %s: nothing was touched", holder, one.what, one.value),
				Hint:   "stop it, or give this one a name, state_dir and run_dir of its own in its system block",
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

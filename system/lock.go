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
)

// maxHolder bounds what is read of a lock's holder.
const maxHolder = 8 << 10

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

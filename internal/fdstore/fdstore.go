// Package fdstore has descriptors kept from one life of a program to the next, by
// whoever starts it: the file descriptor store of systemd (sd_notify(3), FDSTORE=1;
// sd_listen_fds(3)). The keeper never looks at them. It is a leaf.
//
// A descriptor is kept as soon as Keep has returned: the keeper reads what a program
// has told it before it notices the end of that program, also after kill -9. Whether
// there is room for it (FileDescriptorStoreMax=) nobody tells: a descriptor that is
// not there in the next life is one that was not kept.
package fdstore

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// firstInherited is SD_LISTEN_FDS_START.
	firstInherited = 3
	// maxName is the longest name that systemd takes, in bytes.
	maxName = 255
)

// variables are what the protocol tells a program in its environment.
var variables = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}

// Store is the way to the keeper. A nil Store keeps nothing, without an error. Its
// methods may be called from several goroutines at once.
type Store struct {
	conn *net.UnixConn

	mu    sync.Mutex // protects names
	names map[string]bool
}

// Kept is a descriptor of an earlier life of the program. The keeper has it still,
// until Drop.
type Kept struct {
	Name string
	*Descriptor
}

// Open returns the keeper that the environment names, nil where there is none, and
// what it has kept, which the caller closes. What it reads of the environment it
// removes from there. Call it once, before any file is opened.
func Open() (*Store, []Kept, error) {
	kept, err := inherited()
	if err != nil {
		return nil, nil, err
	}
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		for _, k := range kept { // sockets of somebody who starts us by a connection
			k.Close()
		}
		return nil, nil, nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, nil, fmt.Errorf("fdstore: reaching NOTIFY_SOCKET: %w", err)
	}
	s := &Store{conn: conn, names: make(map[string]bool)}
	for _, k := range kept {
		s.names[k.Name] = true
	}
	return s, kept, nil
}

// inherited takes over the descriptors that the environment describes. Those for another
// process are not ours; those without a name, which nobody can drop, are closed.
func inherited() ([]Kept, error) {
	pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID"))
	count, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range variables {
		if err := os.Unsetenv(v); err != nil {
			return nil, fmt.Errorf("fdstore: clearing %s: %w", v, err)
		}
	}
	if pid != os.Getpid() || count <= 0 {
		return nil, nil
	}
	if len(names) != count {
		return nil, fmt.Errorf("fdstore: LISTEN_FDS announces %d descriptors, LISTEN_FDNAMES %d", count, len(names))
	}
	var kept []Kept
	for i, name := range names {
		fd := firstInherited + i
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("fdstore: descriptor %d (%s): %w", fd, name, err)
		}
		d := NewDescriptor(fd)
		if name == "" {
			d.Close()
			continue
		}
		kept = append(kept, Kept{name, d})
	}
	return kept, nil
}

// Keep has a descriptor kept under a name, which no other one may have. The file
// stays the caller's. It may block while the keeper is busy.
func (s *Store) Keep(name string, f *os.File) error {
	if s == nil {
		return nil
	}
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, unfit) {
		return fmt.Errorf("fdstore: %q is no name for a descriptor", name)
	}
	s.mu.Lock()
	taken := s.names[name]
	s.names[name] = true
	s.mu.Unlock()
	if taken {
		return fmt.Errorf("fdstore: there is a descriptor %q already", name)
	}
	raw, err := f.SyscallConn() // not Fd, which would make the file blocking
	if err != nil {
		return fmt.Errorf("fdstore: keeping %s: %w", name, err)
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		sent = s.send("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, unix.UnixRights(int(fd)))
	})
	if err := errors.Join(err, sent); err != nil {
		return fmt.Errorf("fdstore: keeping %s: %w", name, err)
	}
	return nil
}

// send sends a message with descriptors. It waits while the keeper's queue is full.
func (s *Store) send(text string, rights []byte) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), []byte(text), rights, nil, unix.MSG_NOSIGNAL)
		return !errors.Is(sent, unix.EAGAIN) && !errors.Is(sent, unix.EINTR)
	})
	return errors.Join(err, os.NewSyscallError("sendmsg", sent))
}

// unfit reports what systemd takes in no name: what is not printable ASCII, and the
// colon that separates names.
func unfit(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }

// Drop ends the keeping of a descriptor. One that is not there is no error.
func (s *Store) Drop(name string) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	there := s.names[name]
	delete(s.names, name)
	s.mu.Unlock()
	if !there {
		return nil
	}
	if err := s.send("FDSTOREREMOVE=1\nFDNAME="+name, nil); err != nil {
		return fmt.Errorf("fdstore: no longer keeping %s: %w", name, err)
	}
	return nil
}

// Close lets go of the keeper, which goes on keeping.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	return s.conn.Close()
}

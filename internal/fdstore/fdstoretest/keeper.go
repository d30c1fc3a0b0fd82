// Package fdstoretest keeps descriptors as systemd does for a unit with
// FileDescriptorStoreMax=, for tests that end programs and start them again.
package fdstoretest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// shell starts a program with its own process ID in LISTEN_PID, which only the new
// process knows.
const shell = `LISTEN_PID=$$ exec "$@"`

// Keeper is a NOTIFY_SOCKET. Its methods may be called from several goroutines at once.
type Keeper struct {
	path string
	conn *net.UnixConn
	read sync.WaitGroup

	mu      sync.Mutex // protects what follows
	kept    []named    // in the order in which they came
	told    []string   // every message, but those about descriptors
	barrier map[string]chan struct{}
	marks   int
	watch   func(message string)
}

type named struct {
	name string
	file *os.File
}

// New listens in a directory, which must exist. Close must be called.
func New(dir string) (*Keeper, error) {
	k := &Keeper{path: filepath.Join(dir, "notify"), barrier: make(map[string]chan struct{})}
	var err error
	k.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: k.path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("fdstoretest: %w", err)
	}
	k.read.Go(k.serve)
	return k, nil
}

// Watch has f called with every message, before it counts.
func (k *Keeper) Watch(f func(message string)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watch = f
}

// serve takes messages until Close.
func (k *Keeper) serve() {
	b, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(253*4))
	for {
		n, oobn, _, _, err := k.conn.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		k.take(string(b[:n]), filesOf(oob[:oobn]))
	}
}

func filesOf(oob []byte) (files []*os.File) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "kept"))
		}
	}
	return files
}

// take does what a message says.
func (k *Keeper) take(message string, files []*os.File) {
	k.mu.Lock()
	watch := k.watch
	k.mu.Unlock()
	if watch != nil {
		watch(message)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fields := make(map[string]string)
	for line := range strings.SplitSeq(message, "\n") {
		key, value, _ := strings.Cut(line, "=")
		fields[key] = value
	}
	name := fields["FDNAME"]
	switch {
	case fields["FDSTORE"] == "1":
		for _, f := range files {
			k.kept = append(k.kept, named{name, f})
		}
		return
	case fields["FDSTOREREMOVE"] == "1":
		k.kept = slices.DeleteFunc(k.kept, func(n named) bool {
			if n.name == name {
				n.file.Close()
			}
			return n.name == name
		})
	case fields["MARK"] != "":
		close(k.barrier[fields["MARK"]])
		delete(k.barrier, fields["MARK"])
	default:
		k.told = append(k.told, message)
	}
	for _, f := range files {
		f.Close()
	}
}

// Settle waits until all that was sent before has been taken.
func (k *Keeper) Settle() error {
	k.mu.Lock()
	k.marks++
	mark := fmt.Sprint(k.marks)
	done := make(chan struct{})
	k.barrier[mark] = done
	k.mu.Unlock()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: k.path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("fdstoretest: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("MARK=" + mark)); err != nil {
		return fmt.Errorf("fdstoretest: %w", err)
	}
	<-done
	return nil
}

// Names are the names of what is kept, sorted.
func (k *Keeper) Names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for _, n := range k.kept {
		names = append(names, n.name)
	}
	slices.Sort(names)
	return names
}

// Told tells whether a program has sent a message, such as "READY=1".
func (k *Keeper) Told(message string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.told, func(m string) bool { return slices.Contains(strings.Split(m, "\n"), message) })
}

// Hand makes a command one that gets what is kept, and can have more kept. The program
// before must have ended. release is to be called once the command was started, or
// could not be.
func (k *Keeper) Hand(cmd *exec.Cmd) (release func(), err error) {
	if err := k.Settle(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	var names []string
	cmd.ExtraFiles = nil
	release = func() {
		for _, f := range cmd.ExtraFiles {
			f.Close()
		}
	}
	for _, n := range k.kept { // copies: the program may drop one at once
		f, err := dup(n.file)
		if err != nil {
			release()
			return nil, fmt.Errorf("fdstoretest: copying %s: %w", n.name, err)
		}
		names = append(names, n.name)
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+k.path, fmt.Sprintf("LISTEN_FDS=%d", len(names)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.Args = append([]string{"sh", "-c", shell, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	return release, nil
}

func dup(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "kept"), nil
}

// DropAll lets go of all that is kept, as systemd does when a unit has stopped.
func (k *Keeper) DropAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.kept {
		n.file.Close()
	}
	k.kept = nil
}

// Close ends the keeper and lets go of everything.
func (k *Keeper) Close() error {
	err := k.conn.Close()
	k.read.Wait()
	k.DropAll()
	return err
}

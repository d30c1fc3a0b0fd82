// Package netns gives every tenant a network of its own: a named network
// namespace, the devices in it, addresses, routes and rules, the TUN device and
// the sockets that its worker inherits. What it takes from the host it notes in
// a record first, and gives back as it was, also after a crash.
//
// It does I/O. A namespace is a property of an operating system thread: visit, which
// brings the thread back, and Do, whose thread never comes back, are the only ways in.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namedDir is where ip(8) looks for named namespaces.
const namedDir = "/run/netns"

// selfNet is the namespace of the calling thread. That of "self" would be that
// of the main thread.
const selfNet = "/proc/thread-self/ns/net"

// init keeps the main goroutine on the main thread, and so every other
// goroutine off it: a goroutine that ends on a thread in another namespace
// takes the thread with it, which the main thread cannot do.
func init() { runtime.LockOSThread() }

// Namespace is a network namespace, held open.
type Namespace struct {
	name   string // "" for the host's
	file   *os.File
	handle *netlink.Handle
}

// Create makes the namespace called name, which `ip netns` can use too.
func Create(name string) (*Namespace, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	n, err := create(name)
	if err != nil {
		return nil, fmt.Errorf("netns: creating %s: %w", name, err)
	}
	return n, nil
}

func create(name string) (*Namespace, error) {
	leave, err := visit(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
	if err != nil {
		return nil, fmt.Errorf("unsharing: %w", err)
	}
	defer leave()
	file, err := os.Open(selfNet)
	if err != nil {
		return nil, err
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	n := &Namespace{name, file, handle}
	if err := n.mountName(); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Open opens the namespace called name. The error is fs.ErrNotExist when there
// is none.
func Open(name string) (*Namespace, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	file, err := openName(name)
	if err != nil {
		return nil, fmt.Errorf("netns: opening %s: %w", name, err)
	}
	return wrap(name, file)
}

// current opens the namespace that the process runs in.
func current() (*Namespace, error) {
	file, err := os.Open(selfNet)
	if err != nil {
		return nil, fmt.Errorf("netns: opening the host's namespace: %w", err)
	}
	return wrap("", file)
}

func wrap(name string, file *os.File) (*Namespace, error) {
	// Other families, which the kernel may lack, are not needed.
	handle, err := netlink.NewHandleAt(vnetns.NsHandle(file.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("netns: opening netlink in %s: %w", name, err)
	}
	return &Namespace{name, file, handle}, nil
}

// Name returns the name under /run/netns.
func (n *Namespace) Name() string { return n.name }

// Do runs fn in the namespace, on a thread of its own that is thrown away
// afterwards: fn may do to it what cannot be undone. fn must start no goroutine.
func (n *Namespace) Do(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netns: entering %s: %w", n.name, err)
		}
		return fn()
	})
}

// within runs fn in the namespace, on the calling thread. Of that fn must change nothing,
// and a goroutine that it starts is not in the namespace.
func (n *Namespace) within(fn func() error) error {
	leave, err := visit(func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) })
	if err != nil {
		return fmt.Errorf("netns: entering %s: %w", n.name, err)
	}
	defer leave()
	return fn()
}

// visit has enter take the calling thread to another network namespace. leave, which the
// same goroutine must call, brings it back. A thread for each visit, as Do has it, costs
// ten times as much.
func visit(enter func() error) (leave func(), err error) {
	runtime.LockOSThread()
	home, err := unix.Open(selfNet, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	if err := enter(); err != nil {
		unix.Close(home)
		runtime.UnlockOSThread()
		return nil, err
	}
	return func() {
		defer unix.Close(home)
		if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
			// Nobody else gets this thread: it is still the goroutine's.
			panic(fmt.Sprintf("netns: internal error: a thread cannot leave a namespace: %v", err))
		}
		runtime.UnlockOSThread()
	}, nil
}

// Close lets go of the namespace and leaves it be.
func (n *Namespace) Close() {
	n.handle.Close()
	n.file.Close()
}

// Delete lets go of the namespace and removes its name. The kernel destroys it,
// with every virtual device in it, once no process or socket uses it.
func (n *Namespace) Delete() error {
	n.Close()
	if err := unmountName(n.name); err != nil {
		return fmt.Errorf("netns: deleting %s: %w", n.name, err)
	}
	return nil
}

// onThread runs fn on an operating system thread of its own, and waits for it.
// The goroutine ends without unlocking, so the runtime ends the thread.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- fn()
	}()
	return <-done
}

// checkName guards the one place where a name becomes part of a path.
func checkName(name string) error {
	if name == "" || len(name) > 200 || name[0] == '.' || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("netns: %q is no name for a namespace", name)
	}
	return nil
}

// mountName binds the namespace to its name, which nobody may have.
func (n *Namespace) mountName() error {
	return whereNamesAre(func() error {
		if path := filepath.Join(namedDir, n.name); isNamespace(path) {
			return fmt.Errorf("%s is there already and not ours; remove it with `ip netns delete %s`", path, n.name)
		}
		return n.bindName()
	})
}

// bindName binds the namespace to its name, which is free.
func (n *Namespace) bindName() error {
	if err := shareNamedDir(); err != nil {
		return fmt.Errorf("preparing %s: %w", namedDir, err)
	}
	path := filepath.Join(namedDir, n.name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	source := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
	if err := unix.Mount(source, path, "none", unix.MS_BIND, ""); err != nil {
		os.Remove(path)
		return fmt.Errorf("binding to %s: %w", path, err)
	}
	return nil
}

// keepName binds the namespace to its name again where somebody has removed it, and
// tells whether it had to.
func (n *Namespace) keepName() (bound bool, err error) {
	err = whereNamesAre(func() error {
		path := filepath.Join(namedDir, n.name)
		if !isNamespace(path) {
			bound = true
			return n.bindName()
		}
		var there, own unix.Stat_t
		if err := errors.Join(unix.Stat(path, &there), unix.Fstat(int(n.file.Fd()), &own)); err != nil {
			return err
		}
		if there.Ino != own.Ino || there.Dev != own.Dev {
			return fmt.Errorf("%s is another namespace now; remove it with `ip netns delete %s`", path, n.name)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("netns: keeping the name of %s: %w", n.name, err)
	}
	return bound, nil
}

// unmountName removes a name. One that is not there is no error.
func unmountName(name string) error {
	path := filepath.Join(namedDir, name)
	return whereNamesAre(func() error {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) &&
			!errors.Is(err, unix.ENOENT) {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// openName opens the namespace behind a name.
func openName(name string) (*os.File, error) {
	var file *os.File
	err := whereNamesAre(func() error {
		path := filepath.Join(namedDir, name)
		if !isNamespace(path) { // a file without its mount, from before a reboot
			return fs.ErrNotExist
		}
		f, err := os.Open(path)
		file = f
		return err
	})
	return file, err
}

func isNamespace(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// shareNamedDir makes /run/netns as ip(8) does: a shared mount, so that names
// appear in every mount namespace that follows this one.
func shareNamedDir() error {
	if err := os.MkdirAll(namedDir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", namedDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := unix.Mount(namedDir, namedDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", namedDir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// whereNamesAre runs fn in the mount namespace where names belong: that of the first
// process, or else of the one that started us. In a private one, as `ip netns exec` and
// service managers make it, names would be invisible to the operator and the
// namespaces, with the devices in them, would die with us. Where it may not
// go there the names are made here.
func whereNamesAre(fn func() error) error {
	own, err := mountsOf("thread-self")
	if err != nil {
		return err
	}
	for _, process := range []string{"1", strconv.Itoa(os.Getppid())} {
		there, err := mountsOf(process)
		if err != nil {
			continue
		}
		if there == own {
			break
		}
		entered := false
		err = onThread(func() error { // which does not come back from there
			if enterMounts(process) != nil {
				return nil
			}
			entered = true
			return fn()
		})
		if entered {
			return err
		}
	}
	return fn()
}

// mountsOf returns what identifies the mount namespace of a process.
func mountsOf(process string) (string, error) {
	return os.Readlink(filepath.Join("/proc", process, "ns/mnt"))
}

func enterMounts(process string) error {
	f, err := os.Open(filepath.Join("/proc", process, "ns/mnt"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWNS)
}

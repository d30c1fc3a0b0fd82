package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace. One thread of this process lives in it for
// as long as it stands; processes are forked from that thread, so that they are
// in the namespace and still share the host's mounts (which `ip netns exec`
// would not give them), and so that they die with this process.
type Namespace struct {
	lab    *Lab
	name   string // in the lab
	handle netns.NsHandle
	nl     *netlink.Handle
	work   chan func()
}

// Namespace makes a named namespace with its loopback up.
func (l *Lab) Namespace(name string) *Namespace {
	l.tb.Helper()
	path := filepath.Join(netnsDir, l.Name(name))
	ns := &Namespace{lab: l, name: name, work: make(chan func())}
	err := ns.serve(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		return bindNamespace(path)
	})
	if err != nil {
		l.tb.Fatalf("lab: namespace %s: %v", name, err)
	}
	l.onClose(func() {
		ns.close()
		unix.Unmount(path, unix.MNT_DETACH)
		os.Remove(path)
	})
	ns.Sysctl("net/ipv4/conf/all/rp_filter", "0")
	ns.Sysctl("net/ipv4/conf/default/rp_filter", "0")
	ns.Sysctl("net/ipv6/conf/all/accept_dad", "0")
	ns.Sysctl("net/ipv6/conf/default/accept_dad", "0")
	ns.up("lo")
	return ns
}

// Open enters a namespace that somebody else made, such as a context's.
func (l *Lab) Open(name string) *Namespace {
	l.tb.Helper()
	ns := &Namespace{lab: l, name: name, work: make(chan func())}
	err := ns.serve(func() error {
		h, err := netns.GetFromPath(filepath.Join(netnsDir, name))
		if err != nil {
			return err
		}
		defer h.Close()
		return netns.Set(h)
	})
	if err != nil {
		l.tb.Fatalf("lab: namespace %s: %v", name, err)
	}
	l.onClose(ns.close)
	return ns
}

// Host is the namespace that this process was started in.
func (l *Lab) Host() *Namespace {
	l.tb.Helper()
	ns := &Namespace{lab: l, name: "host", work: make(chan func())}
	if err := ns.serve(func() error { return nil }); err != nil {
		l.tb.Fatalf("lab: the host's namespace: %v", err)
	}
	l.onClose(ns.close)
	return ns
}

// serve starts the namespace's thread, which calls enter and then whatever Do
// is given. The thread is never unlocked: it ends with the goroutine.
func (ns *Namespace) serve(enter func() error) error {
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := enter(); err != nil {
			ready <- err
			return
		}
		h, err := netns.Get()
		ns.handle = h
		ready <- err
		for f := range ns.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return err
	}
	var err error
	ns.nl, err = netlink.NewHandleAt(ns.handle, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	if err != nil { // the kernel of a guest has no netfilter
		ns.nl, err = netlink.NewHandleAt(ns.handle, unix.NETLINK_ROUTE)
	}
	return err
}

// close lets the thread go.
func (ns *Namespace) close() {
	close(ns.work)
	ns.nl.Close()
	ns.handle.Close()
}

// bindNamespace gives the namespace of this thread a name, as `ip netns` does.
func bindNamespace(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	if err := unix.Mount(self, path, "", unix.MS_BIND, ""); err != nil {
		os.Remove(path)
		return fmt.Errorf("mounting %s: %w", path, err)
	}
	return nil
}

// Name is the namespace's name on the host.
func (ns *Namespace) Name() string { return ns.lab.Name(ns.name) }

// Do runs f on a thread in the namespace and returns its error. Sockets that f
// opens stay in the namespace. f must not end the test.
func (ns *Namespace) Do(f func() error) error {
	result := make(chan error)
	ns.work <- func() { result <- f() }
	return <-result
}

// Sysctl sets a kernel parameter of the namespace: "net/ipv4/ip_forward".
func (ns *Namespace) Sysctl(key, value string) {
	ns.lab.tb.Helper()
	err := ns.Do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644) })
	if err != nil {
		ns.lab.tb.Fatalf("lab: %s: %v", ns.name, err)
	}
}

// Forward makes the namespace a router.
func (ns *Namespace) Forward() *Namespace {
	ns.lab.tb.Helper()
	ns.Sysctl("net/ipv4/ip_forward", "1")
	ns.Sysctl("net/ipv6/conf/all/forwarding", "1")
	return ns
}

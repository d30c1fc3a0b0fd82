package confine

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// The names of programs that run in the empty root: as Args[0] of a command, and
// for who looks at the host's processes.
const (
	WorkerProgram  = "warren-context"
	CheckerProgram = "warrend-check"
)

// inRoot is where a program is while it starts.
func inRoot(name string) string { return "/" + name }

// selfMounts is the mount namespace of the calling thread.
const selfMounts = "/proc/thread-self/ns/mnt"

// emptyRoot is a mount namespace in which there is nothing but an empty, read-only
// file system with a mount point for each program. Each process gets a copy of
// it: to copy the host's, with a mount for every context, would take a thousand
// times as long. It is made once, and ends with this process.
var emptyRoot = sync.OnceValues(makeEmptyRoot)

func makeEmptyRoot() (*os.File, error) {
	type result struct {
		root *os.File
		err  error
	}
	done := make(chan result, 1)
	go func() { // on a thread of its own, which ends with the goroutine
		runtime.LockOSThread()
		f, err := newEmptyRoot()
		done <- result{f, err}
	}()
	r := <-done
	return r.root, r.err
}

// newEmptyRoot takes the calling thread to a new mount namespace and returns it.
func newEmptyRoot() (_ *os.File, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("unsharing mounts: %w", err)
	}
	namespace, err := os.Open(selfMounts) // there is no /proc later on
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			namespace.Close()
		}
	}()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("separating mounts: %w", err)
	}
	// Any directory will do that is not the root itself.
	if err := unix.Mount("warren", "/proc", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV,
		"mode=0555,size=4096,nr_inodes=8"); err != nil {
		return nil, fmt.Errorf("mounting an empty root: %w", err)
	}
	if err := unix.Chdir("/proc"); err != nil {
		return nil, err
	}
	for _, name := range []string{WorkerProgram, CheckerProgram} {
		f, err := os.OpenFile("."+inRoot(name), os.O_CREATE|os.O_WRONLY, 0o555)
		if err != nil {
			return nil, fmt.Errorf("making a place for the program: %w", err)
		}
		f.Close()
	}
	// Root and what it replaces are on one spot; the latter is then on top, and goes.
	if err := unix.PivotRoot(".", "."); err != nil {
		return nil, fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return nil, fmt.Errorf("leaving the old root: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return nil, fmt.Errorf("closing the root: %w", err)
	}
	return namespace, nil
}

// enterEmptyRoot takes the calling thread, which is thrown away afterwards, to a
// mount namespace of its own with nothing in it but the program, at inRoot of name,
// and returns what takes that away again once it runs.
func enterEmptyRoot(program, name string) (leave func() error, err error) {
	if err := static(program); err != nil {
		return nil, err
	}
	root, err := emptyRoot()
	if err != nil {
		return nil, err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, program, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening the program as a mount: %w", err)
	}
	defer unix.Close(tree)
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("unsharing the root: %w", err)
	}
	if err := unix.Setns(int(root.Fd()), unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("entering the empty root: %w", err)
	}
	// From here on the host's files are out of reach for this thread.
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("%w: copying it: %w", errStuck, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, inRoot(name), unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return nil, fmt.Errorf("%w: mounting the program: %w", errStuck, err)
	}
	return func() error { return unix.Unmount(inRoot(name), unix.MNT_DETACH) }, nil
}

// errStuck is the error of a thread that cannot start any program any more.
var errStuck = errors.New("in the empty root")

// static reports a program that needs a loader, which an empty root has not.
func static(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the program is not linked statically (build it with CGO_ENABLED=0)")
		}
	}
	return nil
}

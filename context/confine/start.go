// Package confine is the outside of a sandbox: it starts a process that cannot get
// anything that it was not given, and builds the filter of system calls that the
// process puts upon itself (package privileges). Workers are started so, and the
// process that checks what tenants have written.
//
// It does I/O, and needs root for most of what it does.
package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

// Start starts cmd, which runs program under the name Args[0], one of the names that
// this package knows, with nothing in its file system and in
// namespaces of its own. It takes what the child must never have from the calling
// thread, too: lock the goroutine to it, and let it end with the goroutine. Where
// caged is set every part of the confinement must be there; otherwise the Sandbox
// says what is missing.
func Start(cmd *exec.Cmd, program string, caged bool) (box control.Sandbox, err error) {
	if err := shed(); err != nil {
		return box, err
	}
	separate(cmd, &box)
	leave, err := enterEmptyRoot(program, cmd.Args[0])
	box.Reach("mount namespace", err)
	switch {
	case errors.Is(err, errStuck):
		return box, err
	case err == nil:
		cmd.Path = inRoot(cmd.Args[0])
	}
	if caged && len(box.Missing) > 0 {
		return box, fmt.Errorf("require_sandbox is set, and this is missing: %s", strings.Join(box.Missing, ", "))
	}
	if err := cmd.Start(); err != nil {
		return box, err
	}
	if leave != nil {
		// Where it cannot be taken away the child could read its own program.
		_ = leave()
	}
	return box, nil
}

// shed takes from the calling thread what no confined process may have.
func shed() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // the last capability was the one before
			break
		}
		if err != nil {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	// A raised priority is not for it. The kernel counts from 40 down to 1.
	if p, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && p > 20 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 0); err != nil {
			return fmt.Errorf("setting the priority: %w", err)
		}
	}
	return nil
}

// separate gives cmd the namespaces that the kernel has, beside that of the
// network, which the calling thread is in. In its own namespace of processes
// it is the first one: whatever it may have begun ends with it.
func separate(cmd *exec.Cmd, box *control.Sandbox) {
	for _, n := range []struct {
		name string
		flag uintptr
	}{{"pid", unix.CLONE_NEWPID}, {"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}} {
		_, err := os.Stat("/proc/self/ns/" + n.name)
		if err == nil {
			cmd.SysProcAttr.Cloneflags |= n.flag
		} else {
			err = errors.New("the kernel has none")
		}
		box.Reach(n.name+" namespace", err)
	}
}

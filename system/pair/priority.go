package pair

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pairNice is the priority of a supervisor that is one of a pair. It does next
// to nothing, but that in time: whoever is late is taken for dead.
const pairNice = -15

// hurry raises the priority of all threads of this process. Threads that come
// later have it from those that start them; workers do not keep it.
//
// Linux compares the priorities of processes of one session only; the sessions
// take turns among themselves (sched(7), autogroup). As a daemon this process has
// one of its own, which is raised, too: else the priority would mean nothing
// beside another busy session. In a session that it shares, such as that of a
// shell, it leaves the others where they are.
func hurry() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("system: listing threads: %w", err)
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, pairNice); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("system: raising the priority: %w", err)
		}
	}
	if session, err := unix.Getsid(0); err != nil || session != os.Getpid() {
		return nil
	}
	err = os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(pairNice)), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without autogroups needs nothing
		return fmt.Errorf("system: raising the priority of the session: %w", err)
	}
	return nil
}

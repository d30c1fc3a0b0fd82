package system

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pairNice is the priority of a supervisor that is one of a pair. It does next
// to nothing, but that in time: whoever is late is taken for dead.
const pairNice = -15

// hurry raises the priority of all threads of this process. Threads that come
// later have it from those that start them; workers do not keep it.
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
	return nil
}

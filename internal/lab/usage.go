package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// PSS is the proportional share of memory of a process, in bytes.
func PSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("lab: no Pss line in smaps_rollup")
}

// CPU is the processor time that processes have used, user and system, all
// together.
func CPU(pids ...int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		var t unix.Timespec
		// The clock of another process's time, as clock_getcpuclockid(3) makes it.
		const scheduled = 2
		if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
			return 0, fmt.Errorf("lab: processor time of process %d: %w", pid, err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// Idle is what processes do not exceed that have nothing left to do: so much
// processor time within so much time.
const (
	idleWithin = 100 * time.Millisecond
	idleCPU    = 2 * time.Millisecond
)

// SettledCPU is CPU once the processes have nothing left to do: what one of them
// has handed to another one, such as a line for the log, counts.
func SettledCPU(pids ...int) (time.Duration, error) {
	tick := time.NewTicker(idleWithin)
	defer tick.Stop()
	before, err := CPU(pids...)
	for end := time.Now().Add(Patience); err == nil; {
		<-tick.C
		var now time.Duration
		if now, err = CPU(pids...); err == nil && now-before <= idleCPU {
			return now, nil
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("lab: processes %v still work after %v", pids, Patience)
		}
		before = now
	}
	return 0, err
}

// PIDs are the processes of the daemon: itself, and all that it has started and that
// stay. What checks a configuration does not: it ends when nobody changes one.
func (w *Warrend) PIDs() []int {
	return append([]int{w.PID()}, slices.DeleteFunc(descendants(w.PID()), func(pid int) bool {
		name := program(pid)
		return name == "" || name == "warrend-check"
	})...)
}

// program is the name that a process was started under; "": it has ended.
func program(pid int) string {
	args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	name, _, _ := bytes.Cut(args, []byte{0})
	return string(name)
}

// Workers are the processes of the workers that the daemon has started.
func (w *Warrend) Workers() []int {
	return slices.DeleteFunc(Children(w.PID()), func(pid int) bool { return program(pid) != "warren-context" })
}

// WorkerSizes returns the PSS of every worker in MiB, the smallest first.
func (w *Warrend) WorkerSizes() ([]float64, error) {
	var sizes []float64
	for _, pid := range w.Workers() {
		b, err := PSS(pid)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, float64(b)/(1<<20))
	}
	slices.Sort(sizes)
	return sizes, nil
}

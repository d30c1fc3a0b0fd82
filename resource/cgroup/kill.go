package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// killPoll is how often Kill and Delete look whether killed processes are gone.
	killPoll = 10 * time.Millisecond
	// killAtOnce bounds the descriptors that killing takes.
	killAtOnce = 512
)

// Kill kills what is in the group and waits until it is gone. The group stays,
// with its limits. Where there are no control groups it does nothing.
func (g *Group) Kill(ctx context.Context) error {
	return g.retry(ctx, "emptying", func() error {
		var errs []error
		for _, h := range g.m.hierarchies {
			if len(h.processes(g.name)) == 0 {
				continue
			}
			h.kill(g.name)
			if n := len(h.processes(g.name)); n > 0 {
				errs = append(errs, fmt.Errorf("%d processes are left", n))
			}
		}
		return errors.Join(errs...)
	})
}

// Delete kills what is in the group, waits until it is gone, and removes the
// group. A group that is not there is no error.
func (g *Group) Delete(ctx context.Context) error {
	return g.retry(ctx, "removing", func() error {
		var errs []error
		for _, h := range g.m.hierarchies {
			h.kill(g.name)
			errs = append(errs, h.remove(g.name))
		}
		return errors.Join(errs...)
	})
}

// retry calls try until it succeeds.
func (g *Group) retry(ctx context.Context, doing string, try func() error) error {
	err := try()
	if err == nil {
		return nil
	}
	tick := time.NewTicker(killPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup: %s group %s: %w", doing, g.name, err)
		case <-tick.C:
		}
		if err = try(); err == nil {
			return nil
		}
	}
}

// killListed kills the processes that list returns. Each is held by a descriptor
// before it is looked for once more, so that a number that has meanwhile been
// given to a process elsewhere is not killed.
func killListed(list func() []int) {
	held := make(map[int]int)
	for _, pid := range list() {
		if pid <= 1 || pid == os.Getpid() || len(held) == killAtOnce {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		switch {
		case err == nil:
			held[pid] = fd
		case errors.Is(err, unix.ENOSYS): // before Linux 5.3
			unix.Kill(pid, unix.SIGKILL) // gone already: the next look tells
		}
	}
	still := list()
	for pid, fd := range held {
		if slices.Contains(still, pid) {
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		unix.Close(fd)
	}
}

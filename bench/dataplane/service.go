package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/warrenvpn/warren/resource/cgroup"
)

// services are the control groups of the daemons that are measured. warrend
// gives each worker one, as systemd gives one to every service, and it matters:
// the scheduler shares processors among groups first. So all others get one, too.
type services struct {
	off      bool
	managers []*cgroup.Manager
	groups   []*cgroup.Group
}

// service is where makers put daemons.
var service services

// add puts a daemon into a group of its own and returns its process.
func (s *services) add(pid int) int {
	if s.off {
		return pid
	}
	// As with warrend, one group within another, side by side with the rest.
	m := cgroup.Detect(fmt.Sprintf("dataplane%d-%d", os.Getpid(), len(s.managers)))
	s.managers = append(s.managers, m)
	g, err := m.Create("service", cgroup.Limits{})
	if err == nil {
		s.groups = append(s.groups, g)
		err = g.Add(pid)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "dataplane: process %d stays in this group: %v\n", pid, err)
	}
	return pid
}

// close removes the groups, whose processes have ended.
func (s *services) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, g := range s.groups {
		if err := g.Delete(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "dataplane:", err)
		}
	}
	for _, m := range s.managers {
		if err := m.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "dataplane:", err)
		}
	}
}

package tenants

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/roottest"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// TestGroupIsMade: a control group that somebody removes is made again at once, with
// its limits, and what belongs into it can be put there; who takes it apart finds
// nobody who makes it again.
func TestGroupIsMade(t *testing.T) {
	roottest.Need(t)
	var log bytes.Buffer
	b, changed := loneTenant(&log)
	s := &Tenants{env: b.env, byName: map[string]*tenant{"blue": b}}
	b.env.Groups = cgroup.Detect("wt-group")
	defer b.env.Groups.Close()
	b.want.Limits = plan.Limits{PIDs: 20}
	g, err := b.env.Groups.Create("blue", cgroup.Limits(b.want.Limits))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Delete(context.WithoutCancel(t.Context()))
	b.group = g
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.env.Groups.Watch(ctx, s.groupGone) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := g.Delete(t.Context()); err != nil { // as somebody else would
		t.Fatal(err)
	}
	<-changed
	// Where a group has several parts the rest of it may have gone afterwards: that the
	// regular look finds.
	await(t, "the group is made again", func() bool { b.lookAtGroup(); return !g.Missing() })
	if got := b.problems(); len(got) > 0 {
		t.Errorf("nothing is wrong: %v", got)
	}

	if err := g.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := (confinement{g, b}).Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if u := g.Usage(); u.PIDs != 1 || g.Missing() {
		t.Errorf("used %+v, missing %v", u, g.Missing())
	}
	if n := strings.Count(log.String(), "control group made again"); n != 1 {
		t.Errorf("%d lines, want one within a minute:\n%s", n, &log)
	}

	b.mending.Lock()
	b.mu.Lock()
	b.group = nil
	b.mu.Unlock()
	b.mending.Unlock()
	if err := g.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mended, err := b.restoreGroup(); mended || err != nil || !g.Missing() {
		t.Errorf("taken apart: mended %v, %v", mended, err)
	}
}

// TestGroupCannotBeMade: what cannot be made again is a problem, and one line.
func TestGroupCannotBeMade(t *testing.T) {
	roottest.Need(t)
	var log bytes.Buffer
	b, _ := loneTenant(&log)
	b.env.Groups = cgroup.Detect("wt-nogroup")
	defer b.env.Groups.Close()
	g, err := b.env.Groups.Create("blue", cgroup.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Delete(context.WithoutCancel(t.Context()))
	b.group, b.name = g, "a/b" // which no group can be called
	if err := g.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.lookAtGroup()
	}
	if got := b.problems(); len(got) != 1 || !strings.Contains(got[0].Error, "its control group was removed") {
		t.Errorf("got %v", got)
	}
	b.name = "blue"
	b.lookAtGroup()
	if got := b.problems(); len(got) > 0 || g.Missing() {
		t.Errorf("got %v", got)
	}
	if n := strings.Count(log.String(), "cannot be made again"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not so: %s", what)
		}
	}
}

package tenants

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/plan"
)

// fakeLinks are links of which the test says what is wrong with them.
type fakeLinks struct {
	mu     sync.Mutex // protects faults
	faults map[string]netns.Fault
	events chan map[string]netns.Fault
}

func (f *fakeLinks) Faults() map[string]netns.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults
}

func (f *fakeLinks) WatchLinks(ctx context.Context, changed func()) {
	changed()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-f.events:
			f.mu.Lock()
			f.faults = now
			f.mu.Unlock()
			changed()
		}
	}
}

// loneTenant is a context without anything that runs; changed has something after a
// change of its state.
func loneTenant(log *bytes.Buffer) (t *tenant, changed <-chan struct{}) {
	c := make(chan struct{}, 1)
	s := New(&Config{Changed: func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}})
	t = &tenant{env: s.env, name: "blue", log: slog.New(slog.NewTextHandler(log, nil)), want: &plan.Wanted{}}
	s.byName["blue"] = t
	return t, c
}

// TestLinksAreWatched: a context without a twin notices what becomes of its links,
// and says so.
func TestLinksAreWatched(t *testing.T) {
	var log bytes.Buffer
	b, changed := loneTenant(&log)
	f := &fakeLinks{events: make(chan map[string]netns.Fault)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.watchLinks(ctx, f) }()
	said := func() (list []string) {
		for _, p := range b.problems() {
			list = append(list, p.Context+" "+p.Error+"; "+p.Hint)
		}
		return list
	}
	const back = "; `warren reload` puts it back, as soon as the host has the device"
	for _, step := range []struct {
		faults map[string]netns.Fault
		want   []string
	}{
		{map[string]netns.Fault{"outside": netns.NoCarrier},
			[]string{"blue interface outside: its device has no carrier; "}},
		{map[string]netns.Fault{"outside": netns.LinkDown, "inside": netns.DeviceGone},
			[]string{"blue interface inside: its device is gone" + back, "blue interface outside: its device is down" +
				back}},
		{nil, nil},
	} {
		<-changed // the change before is known
		f.events <- step.faults
		f.events <- step.faults // which is taken when the first one is done
		if got := said(); !slices.Equal(got, step.want) {
			t.Errorf("%v: got %q, want %q", step.faults, got, step.want)
		}
	}
	cancel()
	<-done
	for _, want := range []string{
		`level=WARN msg="interface lost" interface=outside reason="its device has no carrier"`,
		`level=WARN msg="interface lost" interface=inside reason="its device is gone"`,
		`level=INFO msg="interface is back" interface=inside`, `level=INFO msg="interface is back" interface=outside`,
	} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("the log has not once %q:\n%s", want, &log)
		}
	}
}

// TestGroupIsMade: a control group that somebody has removed is noticed, and made
// again with its limits before a worker is put into it.
func TestGroupIsMade(t *testing.T) {
	needRoot(t)
	var log bytes.Buffer
	b, _ := loneTenant(&log)
	b.env.Groups = cgroup.Detect("wt-group")
	defer b.env.Groups.Close()
	b.want.Limits = plan.Limits{PIDs: 20}
	g, err := b.env.Groups.Create("blue", cgroup.Limits(b.want.Limits))
	if err != nil {
		t.Fatal(err)
	}
	b.group = g
	b.lookAtGroup(g)
	if got := b.problems(); len(got) > 0 {
		t.Errorf("nothing is wrong: %v", got)
	}
	if err := g.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.lookAtGroup(g)
	if got := b.problems(); len(got) != 1 || got[0].Context != "blue" ||
		!strings.Contains(got[0].Error, "control group was removed") {
		t.Errorf("got %v", got)
	}
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer g.Delete(context.WithoutCancel(t.Context()))
	if err := (confinement{g, b}).Add(cmd.Process.Pid); err != nil {
		cmd.Process.Kill()
		t.Fatal(err)
	}
	if u := g.Usage(); u.PIDs != 1 || g.Missing() || len(b.problems()) > 0 {
		t.Errorf("used %+v, missing %v, problems %v", u, g.Missing(), b.problems())
	}
	if !strings.Contains(log.String(), "control group was removed") ||
		!strings.Contains(log.String(), "control group made again") {
		t.Errorf("log: %s", &log)
	}
}

// needRoot skips on a developer's machine and fails where tests must run.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

package cgroup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/roottest"
)

func TestParseMounts(t *testing.T) {
	const text = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/my\040group rw - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
bad line - cgroup
`
	got := parseMounts(text)
	want := mounted{unified: "/sys/fs/cgroup/unified", legacy: map[string]string{
		"rw": "/sys/fs/my group", "cpu": "/sys/fs/cgroup/cpu,cpuacct", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
		"memory": "/sys/fs/my group",
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mounted{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// tree is a directory that looks like a mounted hierarchy to the package.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// manager is a Manager of one kind of hierarchy, whose controllers are all in
// dir.
func manager(t *testing.T, mode Mode, dir string) *Manager {
	t.Helper()
	names := []string{"cpu", "cpuacct", "memory", "pids"}
	if mode == Unified {
		return &Manager{mode: mode, hierarchies: []hierarchy{&unified{root: dir, system: "sys", names: names}}}
	}
	h := &legacy{root: t.TempDir(), system: "sys", names: names}
	for _, c := range names {
		if err := os.Symlink(dir, filepath.Join(h.root, c)); err != nil {
			t.Fatal(err)
		}
	}
	return &Manager{mode: mode, hierarchies: []hierarchy{h}}
}

func TestSettings(t *testing.T) {
	tests := []struct {
		name   string
		mode   Mode
		limits Limits
		want   map[string]string
	}{
		{"v2", Unified, Limits{CPU: 0.5, Memory: 256 << 20, PIDs: 64},
			map[string]string{"cpu.max": "10000 20000", "memory.max": "268435456", "memory.swap.max": "0",
				"pids.max": "64"}},
		{"v2 unlimited", Unified, Limits{},
			map[string]string{"cpu.max": "max 20000", "memory.max": "9223372036854775807", "pids.max": "max"}},
		{"v2 without swap", Unified, Limits{Memory: 1 << 20},
			map[string]string{"cpu.max": "max 20000", "memory.max": "1048576", "pids.max": "max"}},
		{"v1 with swap", Legacy, Limits{Memory: 1 << 20}, map[string]string{
			"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "-1", "memory.limit_in_bytes": "1048576",
			"memory.memsw.limit_in_bytes": "1048576", "pids.max": "4194304"}},
		{"v1", Legacy, Limits{CPU: 2, Memory: 1 << 20, PIDs: 7}, map[string]string{
			"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "40000", "memory.limit_in_bytes": "1048576",
			"pids.max": "7"}},
		{"v1 unlimited, and less than the kernel takes", Legacy, Limits{CPU: 0.001}, map[string]string{
			"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "1000", "memory.limit_in_bytes": "-1",
			"pids.max": "4194304"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{"cgroup.subtree_control": "cpu memory pids",
				"sys/cgroup.subtree_control": "cpu memory pids"}
			for name := range test.want {
				files["sys/blue/"+name] = ""
			}
			dir := tree(t, files)
			if _, err := manager(t, test.mode, dir).Create("blue", test.limits); err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				got, _ := os.ReadFile(filepath.Join(dir, "sys/blue", name))
				if !strings.HasPrefix(string(got), want) {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestUsage(t *testing.T) {
	want := Usage{CPU: 1500 * time.Microsecond, Throttled: 3, Memory: 4096, MemoryPeak: 8192, OOMKills: 2, PIDs: 5,
		PIDsPeak: 9, PIDsDenied: 6}
	tests := map[Mode]map[string]string{
		Unified: {
			"sys/blue/cpu.stat":       "usage_usec 1500\nnr_throttled 3\n",
			"sys/blue/memory.stat":    "anon 100\n",
			"sys/blue/memory.current": "4096\n",
			"sys/blue/memory.peak":    "8192\n",
			"sys/blue/memory.events":  "low 0\noom_kill 2\n",
			"sys/blue/pids.current":   "5\n",
			"sys/blue/pids.peak":      "9\n",
			"sys/blue/pids.events":    "max 6\n",
		},
		Legacy: {
			"sys/blue/cpu.stat":                  "nr_periods 9\nnr_throttled 3\n",
			"sys/blue/cpuacct.stat":              "user 1\nsystem 2\n",
			"sys/blue/cpuacct.usage":             "1500000\n",
			"sys/blue/cpuacct.usage_percpu":      "1000000 500000\n",
			"sys/blue/memory.stat":               "cache 100\n",
			"sys/blue/memory.usage_in_bytes":     "4096\n",
			"sys/blue/memory.max_usage_in_bytes": "8192\n",
			"sys/blue/memory.failcnt":            "0\n",
			"sys/blue/memory.limit_in_bytes":     "9223372036854771712\n",
			"sys/blue/memory.oom_control":        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
			"sys/blue/pids.current":              "5\n",
			"sys/blue/pids.max":                  "max\n",
			"sys/blue/pids.peak":                 "9\n",
			"sys/blue/pids.events":               "max 6\n",
		},
	}
	for mode, files := range tests {
		m := manager(t, mode, tree(t, files))
		if diff := cmp.Diff(want, m.Open("blue").Usage()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", mode, diff)
		}
		if got := m.Open("blue").OOMKills(); got != want.OOMKills {
			t.Errorf("%d kills for want of memory, want %d", got, want.OOMKills)
		}
		if got := m.Open("red").Usage(); got != (Usage{}) {
			t.Errorf("%s: a group that is not there: %+v", mode, got)
		}
	}
	if got := (&Manager{mode: None}).Open("blue").Usage(); got != (Usage{}) {
		t.Errorf("none: %+v", got)
	}
}

func TestNone(t *testing.T) {
	m := &Manager{mode: None}
	if err := m.Check(Limits{CPU: 1, PIDs: 1}); err == nil || !strings.Contains(err.Error(), "cpu, pids") {
		t.Errorf("got %v", err)
	}
	if err := m.Check(Limits{Memory: 1 << 20, MemoryGuard: true, PIDs: 64}); err == nil ||
		strings.Contains(err.Error(), "memory") || !strings.Contains(err.Error(), "pids") {
		t.Errorf("a default beside what was asked for: %v", err)
	}
	g, err := m.Create("blue", Limits{Memory: 1 << 20, PIDs: 64, MemoryGuard: true, PIDsGuard: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errs(g.Add(os.Getpid()), g.Kill(t.Context()), g.Delete(t.Context()), m.Close()); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "..", "a/b", ".x"} {
		if _, err := m.Create(bad, Limits{}); err == nil {
			t.Errorf("group name %q was accepted", bad)
		}
	}
}

// TestKernel confines a real process, once through the mounts that are there
// and once through detached ones of its own.
func TestKernel(t *testing.T) {
	roottest.Need(t)
	system := fmt.Sprintf("warren-test-%d", os.Getpid())
	own := &Manager{mode: None}
	own.use(system, own.mount())
	for name, m := range map[string]*Manager{"mounted": Detect(system), "detached": own} {
		t.Run(name, func(t *testing.T) {
			if m.Mode() == None {
				t.Fatal("no controllers found; run on a kernel with cgroups")
			}
			t.Cleanup(func() {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
			g, err := m.Create("blue", Limits{CPU: 0.5, Memory: 64 << 20, PIDs: 20})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(cancel)
			t.Cleanup(func() { g.Delete(ctx) })
			cmd := exec.Command("sleep", "600")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			reaped := make(chan error)
			go func() { reaped <- cmd.Wait() }()
			if err := g.Add(cmd.Process.Pid); err != nil {
				cmd.Process.Kill()
				t.Error(err)
			}
			for _, l := range []Limits{{Memory: 512 << 20}, {}, {CPU: 0.5, Memory: 64 << 20, PIDs: 20}} {
				if err := g.Update(l); err != nil {
					t.Errorf("%+v: %v", l, err)
				}
			}
			if u := g.Usage(); u.PIDs != 1 {
				t.Errorf("%d processes in the group, want 1", u.PIDs)
			}
			if got := m.Groups(); len(got) != 1 || got[0] != "blue" {
				t.Errorf("groups: %v", got)
			}
			// It begins to fork once it is in the group, where its number is bounded.
			bomb := exec.Command("sh", "-c", "read go; while :; do sleep 600 & done")
			fuse, err := bomb.StdinPipe()
			if err := errs(err, bomb.Start()); err != nil {
				t.Fatal(err)
			}
			exploded := make(chan error)
			go func() { exploded <- bomb.Wait() }()
			if err := g.Add(bomb.Process.Pid); err != nil {
				bomb.Process.Kill()
				t.Error(err)
			}
			if _, err := fuse.Write([]byte("go\n")); err != nil {
				t.Error(err)
			}
			if err := g.Kill(ctx); err != nil {
				t.Error(err)
			}
			if err := <-exploded; err == nil { // it was killed, or gave up at the cap before
				t.Errorf("a process that forks without end has ended with %v", err)
			}
			for _, h := range m.hierarchies {
				if left := h.processes("blue"); len(left) > 0 {
					t.Errorf("after Kill there are %v", left)
				}
			}
			second := exec.Command("sleep", "0")
			if err := errs(second.Start(), g.Add(second.Process.Pid), second.Wait()); err != nil {
				t.Errorf("the group is of no more use: %v", err)
			}
			if err := g.Delete(ctx); err != nil {
				t.Error(err)
			}
			if err := <-reaped; err == nil || !strings.Contains(err.Error(), "killed") {
				t.Errorf("the process ended with %v", err)
			}
			if got := m.Groups(); len(got) != 0 {
				t.Errorf("groups after Delete: %v", got)
			}
		})
	}
}

func errs(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/plan"
)

// life is one context of a fakeHost: another number after every begin, so a
// context that was not touched has the same.
type life struct {
	number int
	is     string // the fingerprint that it runs with
}

// fakeHost is an actor without a host. Steps fail as told.
type fakeHost struct {
	mu     sync.Mutex // protects what follows
	lives  map[string]life
	count  int
	files  []string
	calls  []string
	fail   map[string]error // by call: "configure blue"
	block  chan struct{}    // not nil: settled waits for it
	broken string           // context of which something is to be put back
}

func newFakeHost() *fakeHost {
	return &fakeHost{lives: map[string]life{}, fail: map[string]error{}}
}

// call notes a call and says how it ends.
func (h *fakeHost) call(what, name string) error {
	h.calls = append(h.calls, what+" "+name)
	return h.fail[what+" "+name]
}

func (h *fakeHost) Check(st plan.Step, _ []*plan.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fail["check "+st.Context]
}

func (h *fakeHost) Serve(_ resource.Totals, list []*plan.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files = nil
	for _, w := range list {
		h.files = append(h.files, w.Name)
	}
	slices.Sort(h.files)
	return h.fail["serve"]
}

func (h *fakeHost) Start(w *plan.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.call("start", w.Name); err != nil {
		return err
	}
	if _, twice := h.lives[w.Name]; twice {
		return errors.New("it lives already")
	}
	h.count++
	h.lives[w.Name] = life{h.count, w.Fingerprint()}
	if w.Suspended {
		h.lives[w.Name] = life{0, "suspended"}
	}
	return nil
}

func (h *fakeHost) AwaitReady(ctx context.Context, name string) error {
	h.mu.Lock()
	block := h.block
	h.mu.Unlock()
	if block != nil {
		<-block
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.call("await", name)
}

func (h *fakeHost) Configure(_ context.Context, w *plan.Wanted) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.lives[w.Name]
	if l.number > 0 {
		h.lives[w.Name] = life{l.number, w.Fingerprint()} // also where it fails: it is half done then
	}
	return h.call("configure", w.Name)
}

func (h *fakeHost) Restore(context.Context) ([]string, []fault.ContextError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken == "" {
		return nil, nil
	}
	return []string{"restore context \"" + h.broken + "\": its control group had been removed"}, nil
}

func (h *fakeHost) Stop(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		h.call("stop", name)
		delete(h.lives, name)
	}
}

// now returns what runs.
func (h *fakeHost) now() map[string]life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.lives)
}

// rig is a warrend without a host: real files, history and lifecycle.
type rig struct {
	*Lifecycle
	t    testing.TB
	dir  string
	host *fakeHost
	time time.Time
	log  bytes.Buffer
	disk map[string]error // by name: why it cannot be written

	active  map[string]bool // failover groups
	keeper  Keeper          // of disks; nil: there is none
	check   Checker         // of texts; nil: all may be parsed
	refuses error           // what stands against every configuration; nil: nothing
	changed func(*configs.System)
	other   Other // of a pair; nil: alone
}

const rigSystem = `
interface "Ethernet1/1" { device = "wt-out" }
interface "Ethernet1/2" { device = "wt-in" }
interface "Ethernet1/3" { device = "wt-dmz" }
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
context "red" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/2" { name = "outside" }
}
`

const rigTenant = `
interface "outside" { address = "198.51.100.1/24" }

ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }

tunnel_group "staff" {
  type          = "remote-access"
  address_pools = ["staff"]

  ikev2 {
    local_authentication  = { pre_shared_key = "the gateway's own key" }
    remote_authentication = { pre_shared_key = { file = "staff.psk" } }
  }
}

tunnel_group "guests" {
  type          = "remote-access"
  address_pools = ["staff"]

  ikev2 {
    remote_identity       = ["*@guests.example"]
    local_authentication  = { pre_shared_key = "the gateway's own key" }
    remote_authentication = { pre_shared_key = { file = "staff.psk" } }
  }
}

crypto_map "outside" {
  dynamic "any" {}
}
`

var rigStart = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), time: rigStart, disk: map[string]error{}}
	r.write("system.hcl", rigSystem)
	r.write("blue.hcl", rigTenant)
	r.write("red.hcl", rigTenant)
	r.write("staff.psk", "everybody's key\n")
	r.start()
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// write writes a file; the system file gets its system block.
func (r *rig) write(name, text string) {
	r.t.Helper()
	if name == "system.hcl" {
		text = fmt.Sprintf("system {\n  state_dir = %q\n  run_dir   = %q\n}\n", r.path("state"), r.path("run")) + text
	}
	write(r.t, r.path(name), text)
}

// edit replaces text in a file.
func (r *rig) edit(name, old, new string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(name))
	if err != nil || !strings.Contains(string(b), old) {
		r.t.Fatalf("%s has no %q: %v", name, old, err)
	}
	write(r.t, r.path(name), strings.Replace(string(b), old, new, 1))
}

func (r *rig) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// start starts, or starts again after a crash: nothing but files is left.
func (r *rig) start() {
	r.t.Helper()
	r.host = newFakeHost()
	log := slog.New(slog.NewTextHandler(&r.log, nil))
	path := r.path("system.hcl")
	if _, err := PlacesOf(path, r.check, log); err != nil {
		r.t.Fatal(err)
	}
	startup, err := Read(r.t.Context(), path, r.path("state"), r.check, log)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := startup.Decide(r.time); err != nil {
		r.t.Fatal(err)
	}
	r.Lifecycle = New(&Config{
		Startup: startup, Check: r.check, Keeper: r.keeper, Actor: r.host,
		Active: func(group string) bool { return r.active[group] }, Log: log,
		Now: func() time.Time { return r.time }, Key: []byte("key"),
		Refuses: func(*configs.System) error { return r.refuses }, Other: r.other,
		Changed: func(conf *configs.System) {
			if r.changed != nil {
				r.changed(conf)
			}
		},
		PendingDisks: func(_ context.Context, names []string) []string { return names },
		WriteDisk: func(_ context.Context, name string, body []byte) error {
			if err := r.disk[name]; err != nil {
				return err
			}
			context, path, _ := strings.Cut(name, ":disk0:")
			return os.WriteFile(configs.DiskRoot(r.path("state"), context)+path, body, 0o600)
		},
	})
	r.t.Cleanup(func() { r.expiry.Stop() })
	r.Start(r.t.Context())
}

var operator = Author{UID: 1000, Name: "alice"}

// apply applies what the files say; it must work.
func (r *rig) apply(confirm int) Applied {
	r.t.Helper()
	done, err := r.Apply(r.t.Context(), operator, Apply{Confirm: confirm, Comment: "a comment"})
	if err != nil {
		r.t.Fatal(err)
	}
	return done
}

// all is everything that a refused change must leave as it is.
func (r *rig) all() map[string]any {
	r.t.Helper()
	h := r.History()
	running, err := r.RunningConfig("")
	if err != nil {
		r.t.Fatal(err)
	}
	kept := map[string]string{}
	files, err := filepath.Glob(r.path("state/history/*"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			kept[f] = string(b)
		}
	}
	return map[string]any{"contexts": r.host.now(), "history": h, "running": running, "kept": kept,
		"files": r.host.files}
}

// unchanged does something that is to be refused in one clear line, with nothing
// changed by it.
func (r *rig) unchanged(do func() error, want ...string) {
	r.t.Helper()
	before := r.all()
	err := do()
	var e *fault.Error
	if !errors.As(err, &e) {
		r.t.Fatalf("got %v, want a refusal", err)
	}
	for _, w := range want {
		if !strings.Contains(e.Reason, w) {
			r.t.Errorf("%q lacks %q", e.Reason, w)
		}
	}
	if strings.Contains(e.Reason, "\n") || e.Hint == "" {
		r.t.Errorf("not one line with a hint: %q, %q", e.Reason, e.Hint)
	}
	if diff := cmp.Diff(before, r.all(), cmp.AllowUnexported(life{})); diff != "" {
		r.t.Errorf("something has changed (-before +after):\n%s", diff)
	}
}

// pool returns the pool that a context runs with.
func (r *rig) pool(name string) string {
	r.t.Helper()
	for _, w := range r.snapshot().is {
		if w.Name == name {
			return w.Spec.Pools[0].End.String()
		}
	}
	r.t.Fatalf("there is no context %s", name)
	return ""
}

// TestPlanSaysWhy: every step has the attributes and blocks behind it, without
// secrets, and planning changes nothing.
func TestPlanSaysWhy(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.edit("blue.hcl", `pre_shared_key = "the gateway's own key"`, `pre_shared_key = "a new key of it"`)
	r.edit("red.hcl", "198.51.100.1/24", "198.51.100.7/24")
	r.edit("system.hcl", `context "red" {`,
		"context \"green\" {\n  config_url = \"file:blue.hcl\"\n"+
			"  allocate_interface \"Ethernet1/3\" { name = \"outside\" }\n}\ncontext \"red\" {")
	r.write("staff.psk", "another key for everybody\n")
	before := r.all()
	p, err := r.Plan(t.Context(), Leniency{})
	if err != nil {
		t.Fatal(err)
	}
	masked := `{ pre_shared_key = "********" }`
	blue, red := r.path("blue.hcl"), r.path("red.hcl")
	secret := plan.Change{File: r.path("staff.psk"), Change: "changed"}
	want := []plan.Explained{
		{Step: plan.Step{Context: "blue", Action: plan.ActionConfigure, SAs: plan.EffectSomeEnd,
			Why: `its configuration has changed (keys of tunnel_group "staff", keys of tunnel_group "guests", ip_pool "staff")`}, Changes: []plan.Change{
			{File: blue, Block: `ip_pool "staff"`, Attribute: "range", Change: "changed",
				Old: `"10.99.0.10-10.99.0.250"`, New: `"10.99.0.10-10.99.0.99"`},
			{File: blue, Block: `tunnel_group "staff" ikev2`, Attribute: "local_authentication", Change: "changed",
				Old: masked, New: masked}, secret}},
		{Step: plan.Step{Context: "green", Action: plan.ActionCreate, SAs: plan.EffectNone, Why: "it is new"}},
		{Step: plan.Step{Context: "red", Action: plan.ActionRebuild, SAs: plan.EffectEnd,
			Why: "its interfaces have changed"}, Changes: []plan.Change{
			{File: red, Block: `interface "outside"`, Attribute: "address", Change: "changed", Old: `"198.51.100.1/24"`,
				New: `"198.51.100.7/24"`}, secret}},
	}
	for i := range p.Steps {
		p.Steps[i].Want, p.Steps[i].Old = nil, nil // of which each step is a consequence
	}
	if diff := cmp.Diff(want, p.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, r.all(), cmp.AllowUnexported(life{})); diff != "" {
		t.Errorf("planning has changed something (-before +after):\n%s", diff)
	}
}

// TestApply takes only the steps that are needed, and keeps a version.
func TestApply(t *testing.T) {
	r := newRig(t)
	before := r.host.now()
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	done := r.apply(0)
	if len(done.Steps) != 1 || done.Version != 2 || !done.ConfirmBefore.IsZero() {
		t.Errorf("got %+v", done)
	}
	after := r.host.now()
	if after["red"] != before["red"] || after["blue"].number != before["blue"].number ||
		after["blue"].is == before["blue"].is {
		t.Errorf("before %v, after %v", before, after)
	}
	want := []Version{
		{Number: 1, Time: rigStart, Author: "warrend", Origin: "start"},
		{Number: 2, Time: rigStart, Author: "alice", UID: 1000, Origin: "apply", Comment: "a comment", Running: true},
	}
	if diff := cmp.Diff(want, r.History()); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if again := r.apply(0); len(again.Steps) != 0 || again.Version != 2 {
		t.Errorf("applied again: %+v", again)
	}
}

// TestApplyIsAllOrNothing lets every kind of step fail, each after others were
// taken: everything is as before.
func TestApplyIsAllOrNothing(t *testing.T) {
	tests := []struct {
		name, fail string
		// restarted are the contexts that had to be ended before it failed.
		restarted []string
	}{
		{"a device is missing", "check green", nil},
		{"no memory for files", "serve", nil},
		{"a worker refuses", "configure blue", nil},
		{"a new context has no user", "start green", nil},
		{"a new context's worker dies", "await green", nil},
		{"a worker refuses what ends SAs", "configure guest", nil},
		{"a rebuilt context cannot be built", "await red", []string{"red", "grey"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.edit("system.hcl", `context "red" {`, `interface "Ethernet1/4" { device = "wt-4" }
interface "Ethernet1/5" { device = "wt-5" }
context "grey" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/4" { name = "outside" }
}
context "guest" {
  config_url = "file:guest.hcl"
  allocate_interface "Ethernet1/5" { name = "outside" }
}
context "red" {`)
			r.write("guest.hcl", rigTenant)
			r.apply(0)
			r.write("system.hcl", strings.Replace(rigSystem, `context "red" {`, `interface "Ethernet1/5" { device = "wt-5" }
context "green" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/3" { name = "outside" }
}
context "guest" {
  config_url = "file:guest.hcl"
  allocate_interface "Ethernet1/5" { name = "outside" }
}
context "red" {`, 1))
			r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
			r.edit("red.hcl", "198.51.100.1/24", "198.51.100.7/24")
			r.edit("guest.hcl", `tunnel_group "guests"`, `tunnel_group "visitors"`)
			r.host.calls = nil
			r.host.fail[tt.fail] = errors.New("told to fail")
			if tt.fail == "await red" { // once: the old one comes back
				r.host.fail["start red"] = nil
			}
			before := r.host.now()
			failing := func() error {
				_, err := r.Apply(t.Context(), operator, Apply{Confirm: 60})
				return err
			}
			if tt.restarted == nil {
				r.unchanged(failing, "nothing was changed: ", "told to fail")
			} else if err := failing(); err == nil ||
				!strings.Contains(err.Error(), `nothing was changed: context "red": told to fail`) {
				t.Errorf("got %v", err)
			}
			after := r.host.now()
			for name, was := range before {
				is := after[name]
				if is.is != was.is {
					t.Errorf("context %s does not run with what it had", name)
				}
				if restarted := slices.Contains(tt.restarted, name); restarted == (is.number == was.number) {
					t.Errorf("context %s: life %d before, %d after\n%s", name, was.number, is.number,
						strings.Join(r.host.calls, "\n"))
				}
			}
			if len(after) != len(before) {
				t.Errorf("contexts before: %v, after: %v", before, after)
			}
			clear(r.host.fail)
			if done := r.apply(0); len(done.Steps) != 5 || done.Version != 3 {
				t.Errorf("afterwards: %+v", done)
			}
		})
	}
}

// TestOrder: what can fail comes before what ends SAs, and what needs a device
// comes after the end of the one who has it.
func TestOrder(t *testing.T) {
	r := newRig(t)
	r.write("system.hcl", `
interface "Ethernet1/1" { device = "wt-out" }
interface "Ethernet1/2" { device = "wt-in" }
interface "Ethernet1/3" { device = "wt-dmz" }
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
context "heir" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/2" { name = "outside" }
}
context "new" {
  config_url = "file:red.hcl"
  allocate_interface "Ethernet1/3" { name = "outside" }
}
`)
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.254") // no SA needs to end for that
	r.host.calls = nil
	r.apply(0)
	want := []string{"configure blue", "start new", "await new", "stop red", "start heir", "await heir"}
	if diff := cmp.Diff(want, r.host.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestSuspend: a suspended context keeps its configuration and its files.
func TestSuspend(t *testing.T) {
	r := newRig(t)
	before := r.host.now()
	r.edit("system.hcl", `config_url = "file:red.hcl"`, "config_url = \"file:red.hcl\"\n  suspended = true")
	p, err := r.Plan(t.Context(), Leniency{})
	if err != nil || len(p.Steps) != 1 || p.Steps[0].Action != plan.ActionSuspend || p.Steps[0].SAs != plan.EffectEnd {
		t.Fatalf("plan: %+v, %v", p, err)
	}
	r.apply(0)
	after := r.host.now()
	if after["blue"] != before["blue"] || after["red"].is != "suspended" || !slices.Contains(r.host.files, "red") {
		t.Errorf("suspended: %v, files of %v", after, r.host.files)
	}
	r.edit("red.hcl", "198.51.100.1/24", "198.51.100.7/24")
	if done := r.apply(0); done.Steps[0].Action != plan.ActionConfigure || done.Steps[0].SAs != plan.EffectNone ||
		r.host.now()["red"].is != "suspended" {
		t.Errorf("changed while it is suspended: %+v, %v", done, r.host.now())
	}
	r.edit("system.hcl", "suspended = true", "suspended = false")
	r.host.fail["await red"] = errors.New("told to fail")
	r.unchanged(func() error {
		_, err := r.Apply(t.Context(), operator, Apply{})
		return err
	}, "told to fail")
	clear(r.host.fail)
	if done := r.apply(0); done.Steps[0].Action != plan.ActionResume || r.host.now()["red"].number == 0 {
		t.Errorf("resumed: %+v, %v", done, r.host.now())
	}
}

// TestChangedMayAsk: whoever is told of a change can ask what is running, and gets just that,
// in the order of the changes.
func TestChangedMayAsk(t *testing.T) {
	r := newRig(t)
	var versions []int
	r.changed = func(conf *configs.System) {
		if r.Running() != conf {
			t.Error("what is running is not what was told")
		}
		h := r.History()
		versions = append(versions, h[len(h)-1].Number)
	}
	for _, pool := range []string{"10.99.0.99", "10.99.0.98"} {
		r.write("blue.hcl", strings.Replace(rigTenant, "10.99.0.250", pool, 1))
		r.apply(0)
	}
	if diff := cmp.Diff([]int{2, 3}, versions); diff != "" {
		t.Errorf("versions at the calls (-want +got):\n%s", diff)
	}
}

// TestOneChangeAtATime: every other is refused at once.
func TestOneChangeAtATime(t *testing.T) {
	r := newRig(t)
	r.edit("red.hcl", "198.51.100.1/24", "198.51.100.7/24")
	block := make(chan struct{})
	r.host.block = block
	done := make(chan error)
	go func() {
		_, err := r.Apply(t.Context(), operator, Apply{})
		done <- err
	}()
	for len(r.turn) > 0 { // until it has begun
		runtime.Gosched()
	}
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"apply":        func() error { _, err := r.Apply(ctx, operator, Apply{}); return err },
		"reload":       func() error { _, err := r.Reload(ctx, operator, Leniency{}); return err },
		"rollback":     func() error { _, err := r.Rollback(ctx, operator, Rollback{Version: 1}); return err },
		"confirm":      func() error { _, err := r.Confirm(r.t.Context(), operator); return err },
		"write memory": func() error { _, err := r.WriteMemory(ctx, operator); return err },
	} {
		err := do()
		var e *fault.Error
		if !errors.As(err, &e) ||
			e.Reason != "another change is under way, so nothing was changed: an apply by alice since 12:00:00 UTC" {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := r.Plan(ctx, Leniency{})
	if err != nil || len(p.Warnings) == 0 ||
		!strings.HasSuffix(p.Warnings[0], ": an apply by alice since 12:00:00 UTC") {
		t.Errorf("plan: %q, %v", p.Warnings, err)
	}
	close(block)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if p, err := r.Plan(ctx, Leniency{}); err != nil || len(p.Steps)+len(p.Warnings) > 0 {
		t.Errorf("plan, when it has ended: %+v, %v", p, err)
	}
}

// TestWarningsAreNews: a warning is told of a file that has changed, and where another
// file's change is its cause; what was told before is not repeated.
func TestWarningsAreNews(t *testing.T) {
	r := newRig(t)
	tell := func(what string, blue, red int) {
		t.Helper()
		told := func(command string, list []string) {
			t.Helper()
			got := map[string]int{}
			for _, w := range list {
				file, _, _ := strings.Cut(strings.TrimPrefix(w, r.dir+"/"), ":")
				got[file]++
			}
			if len(list) != blue+red || got["blue.hcl"] != blue || got["red.hcl"] != red {
				t.Errorf("%s: %s tells %q, want %d of blue and %d of red", what, command, list, blue, red)
			}
		}
		p, err := r.Plan(t.Context(), Leniency{})
		if err != nil {
			t.Fatal(err)
		}
		told("plan", p.Warnings)
		r.log.Reset()
		told("apply", r.apply(0).Warnings)
		if n := strings.Count(r.log.String(), "configuration warning"); n != blue+red {
			t.Errorf("%s: %d lines in the log, want %d", what, n, blue+red)
		}
		again, err := r.Reload(t.Context(), operator, Leniency{})
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Warnings) > 0 {
			t.Errorf("%s: reload tells it again: %q", what, again.Warnings)
		}
	}
	tell("nothing has changed", 0, 0) // two short secrets and a key for two groups in each
	r.edit("red.hcl", "10.99.0.250", "10.99.0.99")
	tell("one file", 0, 3)
	r.edit("blue.hcl", "crypto_map \"outside\" {\n  dynamic \"any\" {}\n}\n", "")
	tell("nobody can connect to blue now", 4, 0)
	r.write("staff.psk", "a key that is long enough\n")
	tell("the secrets are longer", 0, 0)
	r.write("staff.psk", "too short\n")
	tell("and short again, by a file that both name", 2, 2)
}

// TestReload touches what can be touched.
func TestReload(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.edit("red.hcl", "198.51.100.1/24", "198.51.100.7/24")
	r.host.fail["check red"] = errors.New("told to fail")
	red := r.host.now()["red"]
	out, err := r.Reload(t.Context(), operator, Leniency{})
	if err != nil || len(out.Errors) != 1 || out.Errors[0].Context != "red" {
		t.Fatalf("got %+v, %v", out, err)
	}
	if r.pool("blue") != "10.99.0.99" || r.host.now()["red"] != red {
		t.Errorf("blue has %s, red %v", r.pool("blue"), r.host.now()["red"])
	}
	clear(r.host.fail)
	if out, err = r.Reload(t.Context(), operator, Leniency{}); err != nil || len(out.Steps) != 1 {
		t.Errorf("tried again: %+v, %v", out, err)
	}
	r.edit("system.hcl", "system {", "system {\n  name = \"other\"")
	r.unchanged(func() error { _, err := r.Reload(t.Context(), operator, Leniency{}); return err },
		"name, run_dir and state_dir cannot change")
	r.unchanged(func() error { _, err := r.Plan(t.Context(), Leniency{}); return err },
		"name, run_dir and state_dir cannot change")
}

// TestReloadTriesAgain: a step that has failed is taken again by the next reload, although
// no file has changed since then, and by one that takes the change back.
func TestReloadTriesAgain(t *testing.T) {
	edits := map[string]func(r *rig){
		"configure blue": func(r *rig) { r.edit("blue.hcl", oldPool, newPool) },
		"start blue":     func(r *rig) { r.edit("blue.hcl", "198.51.100.1/24", "198.51.100.7/24") },
	}
	for step, edit := range edits {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, taken back: %v", step, back), func(t *testing.T) {
				r := newRig(t)
				edit(r)
				r.host.fail[step] = errors.New("told to fail")
				for range 2 {
					r.host.calls = nil
					out, err := r.Reload(t.Context(), operator, Leniency{})
					if err != nil || len(out.Errors) != 1 || !slices.Contains(r.host.calls, step) {
						t.Fatalf("got %+v, %v after %v", out, err, r.host.calls)
					}
				}
				clear(r.host.fail)
				if back {
					r.write("blue.hcl", rigTenant)
				}
				for i, want := range []int{1, 0} {
					out, err := r.Reload(t.Context(), operator, Leniency{})
					if err != nil || len(out.Errors) > 0 || len(out.Steps) != want {
						t.Errorf("reload %d afterwards: %+v, %v", i, out, err)
					}
				}
				for _, w := range r.Wanted() {
					if got := r.host.now()[w.Name]; got.is != w.Fingerprint() {
						t.Errorf("context %s does not run with what is wanted: %+v", w.Name, got)
					}
				}
			})
		}
	}
}

// TestReloadRestores: a reload puts back what is gone, also when no file has
// changed.
func TestReloadRestores(t *testing.T) {
	r := newRig(t)
	r.host.broken = "red"
	out, err := r.Reload(t.Context(), Author{Name: "root"}, Leniency{})
	if err != nil || !slices.Equal(out.Steps, []string{`restore context "red": its control group had been removed`}) {
		t.Errorf("got %+v, %v", out, err)
	}
}

// TestMendedAfterStart: what was mended is taken, and then nothing is wrong.
func TestMendedAfterStart(t *testing.T) {
	r := newRig(t)
	r.write("red.hcl", "nothing")
	r.start()
	if got := r.Problems(); len(got) != 1 || got[0].Context != "red" {
		t.Errorf("problems: %v", got)
	}
	if _, err := r.load(t.Context(), reading{}); err == nil {
		t.Error("the mistake was taken")
	}
	r.write("red.hcl", rigTenant)
	next, err := r.load(t.Context(), reading{})
	if err != nil || len(next.problems) > 0 {
		t.Errorf("got %v, %v", next.problems, err)
	}
}

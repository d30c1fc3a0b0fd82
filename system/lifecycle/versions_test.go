package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/durable"
	"github.com/warrenvpn/warren/system/fault"
)

const (
	oldPool = "10.99.0.250"
	newPool = "10.99.0.99"
)

// pendingRig makes version 2, with another pool for blue, wait for 60 seconds.
func pendingRig(t *testing.T) *rig {
	r := newRig(t)
	r.edit("blue.hcl", oldPool, newPool)
	if done := r.apply(60); done.Version != 2 || !done.ConfirmBefore.Equal(r.time.Add(time.Minute)) {
		t.Fatalf("got %+v", done)
	}
	return r
}

func (r *rig) wantPool(when, want string) {
	r.t.Helper()
	if got := r.pool("blue"); got != want {
		r.t.Errorf("%s: the pool ends at %s, want %s", when, got, want)
	}
}

func (r *rig) confirm() error {
	_, err := r.Confirm(r.t.Context(), operator)
	return err
}

func (r *rig) rollback(number int) error {
	_, err := r.Rollback(r.t.Context(), operator, Rollback{Version: number})
	return err
}

func (r *rig) differs() bool {
	r.t.Helper()
	d, err := r.Diff(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return d.Differs
}

func TestConfirm(t *testing.T) {
	r := pendingRig(t)
	r.unchanged(func() error { _, err := r.Apply(t.Context(), operator, Apply{}); return err },
		"version 2 waits to be confirmed before 12:01:00 UTC")
	r.unchanged(func() error { _, err := r.Reload(t.Context(), operator, Leniency{}); return err },
		"waits to be confirmed")
	r.unchanged(func() error { _, err := r.WriteMemory(t.Context(), operator); return err }, "waits to be confirmed")
	if err := r.Expire(t.Context()); err != nil { // too early
		t.Error(err)
	}
	r.wantPool("before the deadline", newPool)
	if err := r.confirm(); err != nil {
		t.Fatal(err)
	}
	r.unchanged(r.confirm, "nothing waits to be confirmed")
	r.time = r.time.Add(time.Hour)
	if err := r.Expire(t.Context()); err != nil {
		t.Error(err)
	}
	r.wantPool("an hour later", newPool)
	r.start()
	r.wantPool("after a start", newPool)
}

// TestRollbackIsTriedAgain: where the version before cannot be read, or the clock was set
// back, a version that is not confirmed does not go on for good.
func TestRollbackIsTriedAgain(t *testing.T) {
	r := pendingRig(t)
	path := r.history.path(1)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	r.time = r.time.Add(time.Minute)
	r.expiry.Stop() // it has fired
	if err := r.Expire(t.Context()); err == nil {
		t.Error("it goes back to what is not there")
	}
	if !r.expiry.Stop() {
		t.Error("after an error nobody tries again")
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	r.time = r.time.Add(-time.Hour)
	if err := r.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantPool("before the deadline", newPool)
	if !r.expiry.Stop() {
		t.Error("before the deadline nobody tries again")
	}
	r.time = r.time.Add(time.Hour)
	if err := r.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantPool("after the deadline", oldPool)
}

// TestNotConfirmed: the version before runs again, and does so after a restart,
// too, until the files are put in order.
func TestNotConfirmed(t *testing.T) {
	r := pendingRig(t)
	r.time = r.time.Add(time.Minute)
	if err := r.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantPool("after the deadline", oldPool)
	if !r.differs() {
		t.Error("the files still say what was rolled back, and diff is silent")
	}
	r.unchanged(r.confirm, "nothing waits to be confirmed")
	for range 2 {
		r.start()
		r.wantPool("after a start", oldPool)
		if got := r.Problems(); len(got) != 1 || !strings.Contains(got[0].Error, "was not confirmed in time") ||
			!strings.Contains(got[0].Hint, "warren apply") {
			t.Errorf("the status says %v", got)
		}
	}
	if _, err := r.WriteMemory(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	if r.differs() || !strings.Contains(r.read("blue.hcl"), oldPool) {
		t.Errorf("the files after write memory:\n%s", r.read("blue.hcl"))
	}
	if got := r.Problems(); len(got) > 0 {
		t.Errorf("after write memory the status says %v", got)
	}
	r.edit("blue.hcl", oldPool, newPool)
	r.start()
	r.wantPool("edited again", newPool)
}

// TestNotConfirmedAndRefused: what was not confirmed goes on, also after a restart, where
// the version before it must not run at the moment. The status says so until somebody
// has decided.
func TestNotConfirmedAndRefused(t *testing.T) {
	refused := func(t *testing.T) *rig {
		r := pendingRig(t)
		r.time = r.time.Add(time.Minute)
		r.refuses = &fault.Error{Code: fault.CodeRefused, Reason: "the other unit takes another key", Hint: "wait"}
		before := r.host.now()
		if err := r.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, r.host.now(), cmp.AllowUnexported(life{})); diff != "" {
			t.Errorf("something has changed (-before +after):\n%s", diff)
		}
		if !strings.Contains(r.log.String(), "configuration not rolled back although it was not confirmed") {
			t.Errorf("the log does not say so:\n%s", &r.log)
		}
		for range 2 {
			r.wantPool("after the deadline", newPool)
			if got := r.Problems(); len(got) != 1 ||
				!strings.Contains(got[0].Error, "cannot run now: the other unit takes another key") ||
				!strings.Contains(got[0].Hint, "`warren confirm` keeps it") {
				t.Errorf("the status says %v", got)
			}
			r.start()
		}
		return r
	}
	tests := []struct {
		name string
		do   func(r *rig) error
		pool string
	}{
		{"confirmed", (*rig).confirm, newPool},
		{"given up", func(r *rig) error { r.refuses = nil; return r.rollback(1) }, oldPool},
		{"applied", func(r *rig) error {
			r.refuses = nil
			_, err := r.Apply(r.t.Context(), operator, Apply{})
			return err
		}, newPool},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := refused(t)
			if err := tt.do(r); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				r.wantPool(tt.name, tt.pool)
				if got := r.Problems(); len(got) > 0 {
					t.Errorf("the status says %v", got)
				}
				r.start()
			}
		})
	}
	t.Run("given up, and refused still", func(t *testing.T) {
		r := refused(t)
		r.unchanged(func() error { return r.rollback(1) }, "the other unit takes another key")
	})
}

// TestRollbackAnswersRejection: who goes back to a version after another one was
// not confirmed has chosen what runs. The status is content, and the next start
// runs it, whatever the files say.
func TestRollbackAnswersRejection(t *testing.T) {
	r := pendingRig(t)
	r.time = r.time.Add(time.Minute)
	if err := r.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.Problems(); len(got) != 1 {
		t.Errorf("before the rollback the status says %v", got)
	}
	if err := r.rollback(1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.wantPool("after the rollback", oldPool)
		if got := r.Problems(); len(got) > 0 {
			t.Errorf("after the rollback the status says %v", got)
		}
		r.start()
	}
}

// TestRollbackWaitsAfterRejection: a rollback that waits to be confirmed runs across
// restarts in place of what was rejected, and the rejection outlives it: the files still
// say what no start is to take.
func TestRollbackWaitsAfterRejection(t *testing.T) {
	const midPool = "10.99.0.77"
	// Version 1 has oldPool, 2 midPool, 3 newPool and is rejected: 4 has midPool. Then 5,
	// with oldPool, waits.
	waiting := func(t *testing.T) *rig {
		r := newRig(t)
		r.edit("blue.hcl", oldPool, midPool)
		r.apply(0)
		r.edit("blue.hcl", midPool, newPool)
		r.apply(60)
		r.time = r.time.Add(time.Minute)
		if err := r.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Rollback(t.Context(), operator, Rollback{Version: 1, Confirm: 60}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	tests := []struct {
		name     string
		do       func(r *rig) error
		pool     string
		problems int
	}{
		{"confirmed", (*rig).confirm, oldPool, 0},
		{"not confirmed", func(r *rig) error {
			r.time = r.time.Add(time.Minute)
			return r.Expire(r.t.Context())
		}, midPool, 1},
		{"the time is up at a start", func(r *rig) error {
			r.time = r.time.Add(time.Minute)
			r.start()
			return nil
		}, midPool, 1},
		{"given up", func(r *rig) error { return r.rollback(2) }, midPool, 0},
	}
	for _, tt := range tests {
		for _, restarts := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s after %d restarts", tt.name, restarts), func(t *testing.T) {
				r := waiting(t)
				for range restarts {
					r.start()
					r.wantPool("while it waits", oldPool)
				}
				if err := tt.do(r); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					r.wantPool(tt.name, tt.pool)
					if got := r.Problems(); len(got) != tt.problems {
						t.Errorf("the status says %v", got)
					}
					r.unchanged(r.confirm, "nothing waits to be confirmed")
					r.start()
				}
				r.edit("blue.hcl", newPool, "10.99.0.55")
				r.start()
				r.wantPool("with other files", "10.99.0.55")
			})
		}
	}
}

// TestRejectedIsAppliedAgain: who applies it once more means it.
func TestRejectedIsAppliedAgain(t *testing.T) {
	r := pendingRig(t)
	r.time = r.time.Add(time.Minute)
	if err := r.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.apply(0)
	r.start()
	r.wantPool("after a start", newPool)
}

// TestConfirmAcrossRestarts: what waits is durable.
func TestConfirmAcrossRestarts(t *testing.T) {
	t.Run("in time", func(t *testing.T) {
		r := pendingRig(t)
		r.time = r.time.Add(30 * time.Second)
		r.start()
		r.wantPool("restarted", newPool)
		if err := r.confirm(); err != nil {
			t.Fatal(err)
		}
		r.time = r.time.Add(time.Hour)
		r.start()
		r.wantPool("much later", newPool)
	})
	t.Run("then not", func(t *testing.T) {
		r := pendingRig(t)
		r.start()
		r.time = r.time.Add(time.Minute)
		if err := r.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.wantPool("after the deadline", oldPool)
	})
	t.Run("too late", func(t *testing.T) {
		r := pendingRig(t)
		r.time = r.time.Add(time.Minute)
		r.start()
		r.wantPool("restarted", oldPool)
		r.unchanged(r.confirm, "nothing waits to be confirmed")
		if !strings.Contains(r.log.String(), "it was not confirmed") {
			t.Errorf("the log does not say so:\n%s", &r.log)
		}
	})
	t.Run("other files", func(t *testing.T) {
		r := pendingRig(t)
		r.edit("blue.hcl", newPool, "10.99.0.77")
		r.time = r.time.Add(time.Minute)
		r.start()
		r.wantPool("restarted", "10.99.0.77")
	})
	t.Run("given up", func(t *testing.T) {
		r := pendingRig(t)
		if err := r.rollback(1); err != nil {
			t.Fatal(err)
		}
		r.wantPool("rolled back", oldPool)
		r.unchanged(r.confirm, "nothing waits to be confirmed")
		r.start()
		r.wantPool("restarted", oldPool)
	})
}

func TestRollback(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", oldPool, newPool)
	r.edit("staff.psk", "everybody's", "nobody's")
	r.apply(0)
	for _, number := range []int{0, -1, 3, 1 << 40} {
		r.unchanged(func() error { return r.rollback(number) }, fmt.Sprintf("there is no version %d", number))
	}
	key := func() string {
		is := r.snapshot().is[0].Spec
		return string(is.Secret(is.TunnelGroups[0].Remote.(spec.PSK).Key).Reveal())
	}
	if key() != "nobody's key" {
		t.Errorf("applied: %q", key())
	}
	if err := r.rollback(1); err != nil {
		t.Fatal(err)
	}
	r.wantPool("version 1", oldPool)
	if key() != "everybody's key" {
		t.Errorf("version 1 has the key %q", key())
	}
	if !strings.Contains(r.read("blue.hcl"), newPool) {
		t.Error("the files were touched")
	}
	d, err := r.Diff(t.Context())
	if err != nil || !strings.Contains(d.Text,
		"-ip_pool \"staff\" { range = \"10.99.0.10-10.99.0.99\" }\n"+
			"+ip_pool \"staff\" { range = \"10.99.0.10-10.99.0.250\" }\n") ||
		!strings.Contains(d.Text, "staff.psk differs; secrets are not shown") || strings.Contains(d.Text, "key\"\n") {
		t.Errorf("diff: %v\n%s", err, d.Text)
	}
	h := r.History()
	if last := h[2]; last.Origin != "rollback" || last.Comment != "rollback to version 1" || last.Author != "alice" ||
		!last.Running {
		t.Errorf("history: %+v", h)
	}
	written, err := r.WriteMemory(t.Context(), operator)
	if diff := cmp.Diff([]string{r.path("blue.hcl"), r.path("staff.psk")}, written.Files); diff != "" || err != nil {
		t.Errorf("write memory: %v (-want +got):\n%s", err, diff)
	}
	if r.differs() || r.read("blue.hcl") != rigTenant || r.read("staff.psk") != "everybody's key\n" {
		t.Errorf("the files:\n%s%s", r.read("blue.hcl"), r.read("staff.psk"))
	}
	r.start()
	r.wantPool("after a start", oldPool)
}

// TestRollbackFails: a context of the old version cannot be built any more.
func TestRollbackFails(t *testing.T) {
	r := newRig(t)
	r.edit("red.hcl", "198.51.100.1/24", "198.51.100.7/24")
	r.apply(0)
	r.host.fail["check red"] = errors.New("there is no device wt-in")
	r.unchanged(func() error { return r.rollback(1) }, `nothing was changed: context "red": there is no device wt-in`)
}

// TestFullDisk: what cannot be kept is not applied, and a start goes on.
func TestFullDisk(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", oldPool, newPool)
	block := r.path("state/history/000002.version" + durable.Unfinished)
	if err := os.Mkdir(block, 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	r.unchanged(func() error { _, err := r.Apply(t.Context(), operator, Apply{}); return err }, "keeping version 2: ",
		"nothing was changed")
	r.unchanged(func() error { _, err := r.Reload(t.Context(), operator, Leniency{}); return err },
		"nothing was changed")
	if err := os.WriteFile(block+"/x", nil, 0o600); err != nil { // so that it cannot be removed either
		t.Fatal(err)
	}
	r.start()
	r.wantPool("started", newPool)
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	r.apply(0)
}

func TestHistoryIsPrivateAndBounded(t *testing.T) {
	r := newRig(t)
	for i := range maxVersions + 5 {
		r.write("blue.hcl", fmt.Sprintf("%s# %d\n", rigTenant, i))
		r.apply(0)
	}
	h := r.History()
	if n := len(h); n != maxVersions || h[n-1].Number != maxVersions+6 {
		t.Errorf("%d versions", n)
	}
	r.unchanged(func() error { return r.rollback(1) }, "there is no version 1")
	files, err := os.ReadDir(r.path("state/history"))
	if err != nil || len(files) != maxVersions+1 { // and the key of plans
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(r.path("state/history")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

// TestHistoryAfterCrash: what was cut short goes, and what somebody has changed
// is not run.
func TestHistoryAfterCrash(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", oldPool, newPool)
	r.apply(0)
	write(t, r.path("state/history/000003.version.new"), `{"Number":3`)
	write(t, r.path("state/history/000004.version"), `{"Number":4`)
	write(t, r.path("state/history/000001.version"), strings.Replace(r.read("state/history/000001.version"),
		`"Path":"/`, `"Path":"//`, 1))
	body := r.read("state/history/000001.version")
	write(t, r.path("state/history/000001.version"), strings.Replace(body, `"Body":"`, `"Body":"AAAA`, 1))
	r.start()
	if _, err := os.Stat(r.path("state/history/000003.version.new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unfinished file: %v", err)
	}
	if !strings.Contains(r.log.String(), "version of the history cannot be used") {
		t.Errorf("the log says nothing of the torn file:\n%s", &r.log)
	}
	before := r.host.now()
	if err := r.rollback(1); err == nil || !strings.Contains(err.Error(), "was changed by somebody") {
		t.Errorf("a version that somebody changed: %v", err)
	}
	if diff := cmp.Diff(before, r.host.now(), cmp.AllowUnexported(life{})); diff != "" {
		t.Errorf("something has changed:\n%s", diff)
	}
}

// TestWriteMemory: owner, mode and links stay.
func TestWriteMemory(t *testing.T) {
	r := newRig(t)
	if err := os.Rename(r.path("blue.hcl"), r.path("elsewhere.hcl")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("elsewhere.hcl", r.path("blue.hcl")),
		os.Chmod(r.path("elsewhere.hcl"), 0o640)); err != nil {
		t.Fatal(err)
	}
	r.edit("blue.hcl", oldPool, newPool)
	if err := os.Remove(r.path("staff.psk")); err != nil {
		t.Fatal(err)
	}
	d, err := r.Diff(t.Context())
	if err != nil || !strings.Contains(d.Problem, "is not valid") ||
		!strings.Contains(d.Text, "staff.psk is part of the running configuration alone") ||
		!strings.Contains(d.Text, "-ip_pool") {
		t.Errorf("diff of files that are not valid: %+v, %v", d, err)
	}
	if _, err := r.WriteMemory(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(r.path("blue.hcl")); err != nil || to != "elsewhere.hcl" {
		t.Errorf("the link: %q, %v", to, err)
	}
	if info, err := os.Stat(r.path("blue.hcl")); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if r.read("blue.hcl") != rigTenant || r.differs() {
		t.Errorf("got\n%s", r.read("blue.hcl"))
	}
	if left, err := filepath.Glob(r.path(".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// diskRig has red's configuration on its own disk.
func diskRig(t *testing.T) *rig {
	r := newRig(t)
	dir := configs.DiskRoot(r.path("state"), "red")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/red.hcl", strings.ReplaceAll(rigTenant, `file = "staff.psk"`, `file = "disk0:/staff.psk"`))
	write(t, dir+"/staff.psk", "red's key\n")
	r.edit("system.hcl", "file:red.hcl", "disk0:/red.hcl")
	r.apply(0)
	return r
}

// TestWriteMemoryFails in the middle: the files are as before.
func TestWriteMemoryFails(t *testing.T) {
	r := diskRig(t)
	red := configs.DiskRoot(r.path("state"), "red") + "/red.hcl"
	r.edit("blue.hcl", oldPool, newPool)
	write(t, red, strings.Replace(rigTenant, oldPool, "10.99.0.77", 1))
	r.disk["red:disk0:/red.hcl"] = errors.New("the storage limit is reached")
	blue := r.read("blue.hcl")
	r.unchanged(func() error { _, err := r.WriteMemory(t.Context(), operator); return err },
		"nothing was written: writing red:disk0:/red.hcl: the storage limit is reached")
	if r.read("blue.hcl") != blue {
		t.Errorf("blue.hcl was written:\n%s", r.read("blue.hcl"))
	}
	clear(r.disk)
	done, err := r.WriteMemory(t.Context(), operator)
	if err != nil || len(done.Files) != 2 || r.differs() ||
		!slices.Equal(done.Pending, []string{"red:disk0:/red.hcl"}) {
		t.Errorf("tried again: %+v, %v", done, err)
	}
}

// TestWriteMemoryCutShort: the next start finishes it before it reads the files.
func TestWriteMemoryCutShort(t *testing.T) {
	r := diskRig(t)
	red := configs.DiskRoot(r.path("state"), "red") + "/red.hcl"
	r.edit("blue.hcl", oldPool, newPool)
	write(t, red, "torn")
	write(t, intentPath(r.path("system.hcl")), fmt.Sprintf(`{"StateDir":%q,"Version":2}`, r.path("state")))
	r.start()
	r.wantPool("finished", oldPool)
	b, err := os.ReadFile(red)
	if r.read("blue.hcl") != rigTenant || err != nil || !strings.Contains(string(b), "disk0:/staff.psk") {
		t.Errorf("got\n%s\n%s%v", r.read("blue.hcl"), b, err)
	}
	if _, err := os.Stat(intentPath(r.path("system.hcl"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the note: %v", err)
	}
}

// TestUnwritable: what a server or the environment says is named, and the rest is
// written.
func TestUnwritable(t *testing.T) {
	t.Setenv("WARREN_TEST_KEY", "a key of the environment")
	r := newRig(t)
	r.edit("red.hcl", `{ pre_shared_key = { file = "staff.psk" } }`, `{ pre_shared_key = { env = "WARREN_TEST_KEY" } }`)
	r.apply(0)
	t.Setenv("WARREN_TEST_KEY", "another one")
	r.edit("blue.hcl", oldPool, newPool)
	done, err := r.WriteMemory(t.Context(), operator)
	if err != nil || len(done.Files) != 1 || len(done.Unwritable) != 1 || !strings.Contains(done.Unwritable[0].Name,
		"WARREN_TEST_KEY") {
		t.Errorf("got %+v, %v", done, err)
	}
}

// TestUnwritableServer: nothing can be written to a server.
func TestUnwritableServer(t *testing.T) {
	server, path := newConfServer(t)
	server.sends(green("192.0.2.1/24"))
	r := &rig{t: t, dir: filepath.Dir(path), time: rigStart, disk: map[string]error{}}
	r.start()
	server.sends(green("192.0.2.2/24"))
	done, err := r.WriteMemory(t.Context(), operator)
	if err != nil || len(done.Files) != 0 || len(done.Unwritable) != 1 || !strings.Contains(done.Unwritable[0].Name,
		"https://") {
		t.Errorf("got %+v, %v", done, err)
	}
	r.apply(0)
	if err := r.rollback(1); err != nil {
		t.Errorf("rollback to what the server had: %v", err)
	}
}

// TestShowConfig: what is shown is HCL without secrets.
func TestShowConfig(t *testing.T) {
	r := newRig(t)
	all, err := r.RunningConfig("")
	if err != nil || len(all.Files) != 3 || all.Version != 1 {
		t.Fatalf("got %+v, %v", all, err)
	}
	for _, f := range all.Files {
		if strings.Contains(f.Text, "own key") || strings.Contains(f.Text, "everybody") {
			t.Errorf("%s shows a secret:\n%s", f.Name, f.Text)
		}
		if _, diags := configs.Format(f.Name, []byte(f.Text)); diags.HasErrors() {
			t.Errorf("%s is no HCL: %v\n%s", f.Name, diags.Err(), f.Text)
		}
	}
	one, err := r.RunningConfig("red")
	if err != nil || len(one.Files) != 1 || one.Files[0].Name != r.path("red.hcl") {
		t.Errorf("red: %+v, %v", one, err)
	}
	var e *fault.Error
	if _, err := r.RunningConfig("purple"); !errors.As(err, &e) || e.Code != fault.CodeNoContext {
		t.Errorf("purple: %v", err)
	}
	r.edit("red.hcl", "198.51.100.1", "198.51.100.7")
	startup, err := r.StartupConfig(t.Context(), "red")
	if err != nil || !strings.Contains(startup.Files[0].Text, "198.51.100.7") {
		t.Errorf("startup of red: %+v, %v", startup, err)
	}
	r.edit("red.hcl", "ip_pool", "ip_pol")
	if startup, err = r.StartupConfig(t.Context(), ""); err != nil || len(startup.Files) != 3 {
		t.Errorf("startup that is not valid: %+v, %v", startup, err)
	}
}

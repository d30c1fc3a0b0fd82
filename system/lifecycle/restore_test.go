package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// saved returns the configuration that runs as it comes out of a backup.
func (r *rig) saved() *texts.Set {
	r.t.Helper()
	s, err := r.Saved()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, path := range s.History {
		if _, err := os.Stat(path); err != nil {
			r.t.Error(err)
		}
	}
	t := &texts.Set{}
	if err := json.Unmarshal(s.Running, t); err != nil {
		r.t.Fatal(err)
	}
	return t
}

// TestRestore: a configuration from a backup is planned, runs as a version of its own, and
// can be rolled back.
func TestRestore(t *testing.T) {
	r := newRig(t)
	backup := r.saved()
	r.write("system.hcl", rigSystem[:strings.Index(rigSystem, `context "red"`)])
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.write("staff.psk", "another key of everybody\n")
	r.apply(0)
	p, running, err := r.PlanRestore(backup)
	if err != nil || running != 2 || len(p.Steps) != 2 {
		t.Fatalf("the plan is %+v for %d, %v", p, running, err)
	}
	r.unchanged(func() error {
		_, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: 1})
		return err
	}, "version 2 runs and not 1")
	done, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: running, Comment: "monday"})
	if err != nil || done.Version != 3 || len(done.Steps) != 2 {
		t.Fatalf("got %+v, %v", done, err)
	}
	if r.pool("blue") != "10.99.0.250" || r.pool("red") != "10.99.0.250" {
		t.Errorf("blue has %s, red %s", r.pool("blue"), r.pool("red"))
	}
	if h := r.History(); h[2].Origin != "restore" || h[2].Comment != "monday" {
		t.Errorf("the version is %+v", h[2])
	}
	if _, err := r.WriteMemory(t.Context(), operator); err != nil || r.read("staff.psk") != "everybody's key\n" {
		t.Errorf("the startup configuration: %v", err)
	}
	if err := r.rollback(2); err != nil || r.pool("blue") != "10.99.0.99" {
		t.Errorf("rolled back: %v", err)
	}
}

// TestHostileRestore: a configuration of which files are not beside the system file, or that
// is of another system, or none, changes nothing.
func TestHostileRestore(t *testing.T) {
	r := newRig(t)
	file := func(path string) configs.Location { return configs.Location{Scheme: configs.SchemeFile, Path: path} }
	for name, tt := range map[string]struct {
		change func(s *texts.Set)
		says   string
	}{
		"elsewhere": {func(s *texts.Set) { s.Path = "/etc/other.hcl" }, "the backup is one of /etc/other.hcl"},
		"a cron job": {func(s *texts.Set) {
			for i, one := range s.List {
				if strings.HasSuffix(one.At.Path, "red.hcl") {
					s.List[i].Body = []byte(strings.Replace(string(one.Body), "staff.psk", "/etc/cron.d/x", 1))
				}
			}
			s.List = append(s.List, texts.Text{At: file("/etc/cron.d/x"), Body: []byte("* * * * * root a command")})
		}, "files that are not beside"},
		"another state_dir": {func(s *texts.Set) {
			s.List[0].Body = []byte(strings.Replace(string(s.List[0].Body), "/state", "/estate", 1))
		}, "state_dir"},
		"nonsense": {func(s *texts.Set) { s.List[0].Body = []byte("nonsense") }, "is not valid"},
		"nothing":  {func(s *texts.Set) { s.List = nil }, "is not valid"},
	} {
		backup := r.saved()
		tt.change(backup)
		before := r.all()
		_, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: 1})
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Reason+e.Detail, tt.says) {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
		if _, _, planErr := r.PlanRestore(backup); planErr == nil {
			t.Errorf("%s: it is planned", name)
		}
		if after := r.all(); len(after["kept"].(map[string]string)) != len(before["kept"].(map[string]string)) {
			t.Errorf("%s: a version was kept", name)
		}
	}
}

// TestRestoreIsOneChange: while the files of a backup are written nobody else changes
// anything, and what was restored is the startup configuration in the end.
func TestRestoreIsOneChange(t *testing.T) {
	r := newRig(t)
	backup := r.saved()
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.apply(0)
	r.edit("red.hcl", "10.99.0.250", "10.99.0.88") // by somebody who is about to apply it
	called := false
	done, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: 2,
		Files: func(context.Context) error {
			called = true
			if got := r.pool("blue"); got != "10.99.0.250" {
				t.Errorf("blue has %s while the files are written", got)
			}
			_, err := r.Apply(t.Context(), Author{Name: "bob"}, Apply{})
			var e *fault.Error
			if !errors.As(err, &e) || !strings.Contains(e.Reason, "a restore by alice") {
				t.Errorf("an apply meanwhile: %v", err)
			}
			return nil
		}})
	if err != nil || !called || done.Version != 3 || done.Unwritten != nil || len(done.Written.Files) != 2 {
		t.Fatalf("got %+v, %v", done, err)
	}
	if text := r.read("blue.hcl") + r.read("red.hcl"); strings.Count(text, "10.99.0.250") != 2 {
		t.Errorf("the startup configuration:\n%s", text)
	}
	r.apply(0) // the token is back
}

// TestRestoreGivenUp: where the files cannot be written the configuration goes back, with the
// disks of contexts that the backup does not have.
func TestRestoreGivenUp(t *testing.T) {
	r := newRig(t)
	k := &kept{}
	r.keeper = k
	r.write("system.hcl", rigSystem[:strings.Index(rigSystem, `context "red"`)])
	r.start()
	backup := r.saved()
	r.write("system.hcl", rigSystem)
	r.apply(0)
	files, number := r.read("system.hcl"), r.snapshot().number
	k.calls = nil
	for _, confirm := range []int{0, 60} {
		_, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: r.snapshot().number,
			Confirm: confirm, Files: func(context.Context) error { return errors.New("the disk is full") }})
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Reason, "nothing was restored: the disk is full") {
			t.Fatalf("got %v", err)
		}
		if r.pool("red") == "" || r.read("system.hcl") != files || r.snapshot().pend.open() {
			t.Error("it has not gone back")
		}
		if got := strings.Join(k.calls, ", "); got != "aside red, back red" {
			t.Errorf("the disks: %s", got)
		}
		k.calls = nil
	}
	if text, err := r.history.texts(number); err != nil || text.Digest() != r.snapshot().running.texts.Digest() {
		t.Errorf("something else runs than before: %v", err)
	}
}

// TestRestoreWaits: the time to confirm a restore begins when its files are written.
func TestRestoreWaits(t *testing.T) {
	r := newRig(t)
	backup := r.saved()
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.apply(0)
	done, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: 2, Confirm: 60,
		Files: func(context.Context) error {
			r.time = r.time.Add(time.Hour)
			return nil
		}})
	if want := r.time.Add(time.Minute); err != nil || !done.ConfirmBefore.Equal(want) ||
		!r.snapshot().pend.Deadline.Equal(want) {
		t.Fatalf("got %v, want %v: %v", done.ConfirmBefore, want, err)
	}
	if !strings.Contains(r.read("blue.hcl"), "10.99.0.99") {
		t.Error("the startup configuration is written, and nobody has confirmed")
	}
	if _, err := r.Confirm(t.Context(), operator); err != nil || r.pool("blue") != "10.99.0.250" {
		t.Errorf("confirmed: %v", err)
	}
}

// TestRestoreGivenUpOnBothUnits: where the files cannot be written the other unit goes back,
// too, and its startup files say so. It waits as long as that may take.
func TestRestoreGivenUpOnBothUnits(t *testing.T) {
	a, b := newUnits(t)
	backup := a.saved()
	a.edit("blue.hcl", "10.99.0.250", "10.99.0.200")
	a.apply(0)
	before := a.digest()
	restore := func(files func(context.Context) error) error {
		_, err := a.Restore(t.Context(), operator, Restore{Texts: backup, Running: a.snapshot().number, Files: files})
		return err
	}
	err := restore(func(context.Context) error {
		if !strings.Contains(b.read("blue.hcl"), "10.99.0.250") {
			t.Error("the other unit has not taken it")
		}
		if p := b.snapshot().pend; !p.open() || p.Deadline.Sub(b.time) < filesTimeout {
			t.Errorf("the other unit waits until %+v", p)
		}
		return errors.New("the disk is full")
	})
	if err == nil || a.digest() != before || b.digest() != before {
		t.Errorf("the units have not gone back: %v", err)
	}
	for _, u := range []*unit{a, b} {
		if !strings.Contains(u.read("blue.hcl"), "10.99.0.200") || u.tolerated != 0 || u.snapshot().pend.open() {
			t.Errorf("the %s unit:\n%s", u.name, u.read("blue.hcl"))
		}
	}
	if err := restore(func(context.Context) error { return nil }); err != nil || a.digest() != b.digest() {
		t.Fatalf("restored: %v", err)
	}
	for _, u := range []*unit{a, b} {
		if !strings.Contains(u.read("blue.hcl"), "10.99.0.250") || u.snapshot().pend.open() {
			t.Errorf("the %s unit:\n%s", u.name, u.read("blue.hcl"))
		}
	}
}

// TestRestoreThroughALink: a file that seems to be beside the system file, and is elsewhere,
// is refused; one below a directory there is not.
func TestRestoreThroughALink(t *testing.T) {
	r := newRig(t)
	elsewhere := t.TempDir()
	if err := errors.Join(os.Symlink(elsewhere, r.path("keys")), os.Mkdir(r.path("own"), 0o700),
		os.Symlink(elsewhere+"/later", r.path("later.psk"))); err != nil {
		t.Fatal(err)
	}
	saved := r.saved()
	for name, refused := range map[string]bool{"keys/x.psk": true, "later.psk": true, "own/x.psk": false} {
		backup := &texts.Set{Path: saved.Path, List: slices.Clone(saved.List)}
		for i, one := range backup.List {
			if strings.HasSuffix(one.At.Path, "red.hcl") {
				backup.List[i].Body = []byte(strings.ReplaceAll(string(one.Body), "staff.psk", name))
			}
		}
		backup.List = append(backup.List, texts.Text{Body: []byte("a key of red\n"),
			At: configs.Location{Scheme: configs.SchemeFile, Path: r.path(name)}})
		_, err := r.Restore(t.Context(), operator, Restore{Texts: backup, Running: r.snapshot().number})
		var e *fault.Error
		if got := errors.As(err, &e) && strings.Contains(e.Reason, "files that are not beside"); got != refused ||
			!refused && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("%v is elsewhere: %v", left, err)
	}
	if r.read("own/x.psk") != "a key of red\n" {
		t.Error("the file beside the system file is not restored")
	}
}

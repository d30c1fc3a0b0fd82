package lifecycle

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

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

package lifecycle

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/system/fault"
)

// green is a third context of the rig's system file.
const greenContext = `
interface "Ethernet9/1" { device = "wt-green" }
context "green" {
  config_url = "file:green.hcl"
  allocate_interface "Ethernet9/1" { name = "outside" }
}
`

// names are the contexts that a list of problems is of.
func contextsOf(list []fault.ContextError) string {
	var names []string
	for _, p := range list {
		names = append(names, p.Context)
	}
	return strings.Join(names, " ")
}

// TestOneMistakeIsNoOneElses: a context with a mistake goes on as it runs, or is
// left out where it is new, and is named with the line; the others get what the
// files say. A mistake in the system file is everybody's.
func TestOneMistakeIsNoOneElses(t *testing.T) {
	tests := []struct {
		name   string
		edit   func(r *rig)
		broken string // contexts, "": all is refused
		says   string
	}{
		{"a typo", func(r *rig) { r.edit("red.hcl", "ip_pool", "ip_pol") }, "red", "red.hcl:"},
		{"no file", func(r *rig) { os.Remove(r.path("red.hcl")) }, "red", "red.hcl: no such file"},
		{"no key", func(r *rig) { r.edit("red.hcl", "staff.psk", "gone.psk") }, "red", "gone.psk: no such file"},
		{"many mistakes", func(r *rig) { r.write("red.hcl", strings.Repeat("x {}\n", 300)) }, "red", "red.hcl:1: "},
		{"a new one", func(r *rig) {
			r.write("system.hcl", rigSystem+greenContext)
			r.write("green.hcl", "nothing")
		}, "green", "green.hcl:1"},
		{"a new and an old one", func(r *rig) {
			r.write("system.hcl", rigSystem+greenContext)
			r.write("green.hcl", "nothing")
			r.edit("red.hcl", "ip_pool", "ip_pol")
		}, "green red", "red.hcl:"},
		{"the system file", func(r *rig) { r.write("system.hcl", rigSystem+"contxt \"x\" {}\n") }, "", ""},
		{"the place of one in the system file",
			func(r *rig) { r.edit("system.hcl", "context \"red\" {", "context \"red\" {\n  member = \"gold\"") }, "",
			""},
	}
	for _, tt := range tests {
		for _, how := range []string{"apply", "reload", "SIGHUP"} {
			t.Run(strings.ReplaceAll(tt.name+" "+how, " ", "_"), func(t *testing.T) {
				r := newRig(t)
				red := r.host.now()["red"]
				r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
				tt.edit(r)
				change := func(how Leniency) (problems []fault.ContextError, err error) {
					done, err := r.Apply(t.Context(), operator, Apply{Leniency: how})
					return done.Problems, err
				}
				switch how {
				case "reload":
					change = func(how Leniency) ([]fault.ContextError, error) {
						done, err := r.Reload(t.Context(), operator, how)
						return done.Errors, err
					}
				case "SIGHUP":
					change = func(how Leniency) ([]fault.ContextError, error) {
						if how.Strict {
							_, err := r.Plan(t.Context(), how)
							return nil, err
						}
						err := r.Hangup(t.Context())
						return r.snapshot().running.problems, err
					}
				}
				strict := Leniency{Strict: true}
				r.unchanged(func() error { _, err := change(strict); return err }, "is not valid")
				if tt.broken == "" {
					r.unchanged(func() error { _, err := r.Plan(t.Context(), Leniency{}); return err }, "is not valid")
					r.unchanged(func() error { _, err := change(Leniency{}); return err }, "is not valid")
					return
				}
				p, err := r.Plan(t.Context(), Leniency{})
				if err != nil || len(p.Steps) != 1 || p.Steps[0].Context != "blue" ||
					contextsOf(p.Problems) != tt.broken {
					t.Errorf("plan: %+v, %v", p, err)
				}
				got, err := change(Leniency{})
				if err != nil || contextsOf(got) != tt.broken {
					t.Fatalf("got %+v, %v; want %s", got, err, tt.broken)
				}
				if last := got[len(got)-1]; !strings.Contains(last.Error, tt.says) || last.Hint == "" ||
					strings.Contains(last.Error, "\n") {
					t.Errorf("got %+v, want %q", last, tt.says)
				}
				if r.pool("blue") != "10.99.0.99" || r.pool("red") != "10.99.0.250" || r.host.now()["red"] != red ||
					len(r.host.now()) != 2 {
					t.Errorf("blue has %s, red %s; %v", r.pool("blue"), r.pool("red"), r.host.now())
				}
				if n := strings.Count(r.log.String(), "configuration not taken"); n != len(got) {
					t.Errorf("%d lines in the log:\n%s", n, &r.log)
				}
			})
		}
	}
}

// TestMistakeAcrossVersions: a version with a context that goes on as it ran, and one
// that is left out, can be run again: after a restart, and by a rollback.
func TestMistakeAcrossVersions(t *testing.T) {
	r := newRig(t)
	r.write("system.hcl", rigSystem+greenContext)
	r.write("green.hcl", "nothing")
	r.edit("red.hcl", "ip_pool", "ip_pol")
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.apply(0)
	check := func(when string, broken string) {
		t.Helper()
		if got := contextsOf(r.snapshot().running.problems); got != broken || r.pool("blue") != "10.99.0.99" ||
			r.pool("red") != "10.99.0.250" {
			t.Errorf("%s: problems of %q, want %q; blue has %s, red %s", when, got, broken, r.pool("blue"),
				r.pool("red"))
		}
	}
	check("applied", "green red")
	number := r.snapshot().number
	r.start()
	check("restarted", "green red")
	if got := r.snapshot().number; got != number {
		t.Errorf("the restart has made version %d of version %d", got, number)
	}
	r.edit("red.hcl", "ip_pol", "ip_pool")
	r.write("green.hcl", rigTenant)
	r.apply(0)
	check("mended", "")
	if n := len(r.host.now()); n != 3 {
		t.Errorf("%d contexts run, want 3", n)
	}
	if err := r.rollback(number); err != nil {
		t.Fatal(err)
	}
	check("rolled back", "")
	if n := len(r.host.now()); n != 2 {
		t.Errorf("%d contexts run, want 2", n)
	}
}

// TestServerOfOneContext: where a server has nothing usable for a context, that goes
// on as it runs, unless its last good copy is allowed; the others get what the files
// say.
func TestServerOfOneContext(t *testing.T) {
	server, path := newConfServer(t)
	server.sends(green("192.0.2.1/24"))
	first, err := load(t.Context(), path, unchecked{}, reading{})
	if err != nil {
		t.Fatal(err)
	}
	server.sends(green("192.0.2.2/24"))
	// A later copy than what runs.
	if _, err := load(t.Context(), path, unchecked{}, reading{old: first.texts}); err != nil {
		t.Fatal(err)
	}
	address := func(l *loaded) string { return fmt.Sprint(l.conf.Contexts[0].Spec.Interfaces[0].Addresses) }
	for name, is := range map[string]http.HandlerFunc{
		"away":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("Service is down")) },
	} {
		server.does(is)
		held, err := load(t.Context(), path, unchecked{}, reading{old: first.texts})
		if err != nil || address(held) != "[192.0.2.1/24]" || contextsOf(held.problems) != "green" || len(held.stale)+
			len(held.warnings) > 0 ||
			!strings.Contains(held.problems[0].Error, "--allow-stale") {
			t.Errorf("%s: held: %+v, %v", name, held, err)
		}
		copied, err := load(t.Context(), path, unchecked{}, reading{old: first.texts, allowStale: true})
		if err != nil || address(copied) != "[192.0.2.2/24]" || len(copied.problems) > 0 ||
			!slices.Equal(copied.stale, copied.warnings) || len(copied.stale) != 1 {
			t.Errorf("%s: a copy: %+v, %v", name, copied, err)
		}
		strict, err := load(t.Context(), path, unchecked{}, reading{})
		if err != nil || strict.current(Leniency{Strict: true}) == nil ||
			strict.current(Leniency{AllowStale: true}) != nil {
			t.Errorf("%s: strict: %v", name, err)
		}
	}
	server.sends("interface \"outside\" {}")
	held, err := load(t.Context(), path, unchecked{}, reading{old: first.texts})
	if err != nil || address(held) != "[192.0.2.1/24]" || contextsOf(held.problems) != "green" {
		t.Errorf("a mistake: %+v, %v", held, err)
	}
	server.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	if copied, err := load(t.Context(), path, unchecked{}, reading{allowStale: true}); err != nil ||
		address(copied) != "[192.0.2.2/24]" {
		t.Errorf("the mistake has become the copy: %+v, %v", copied, err)
	}
}

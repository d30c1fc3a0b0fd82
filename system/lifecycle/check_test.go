package lifecycle

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// poisoned refuses texts with a word in them, and notes what it was asked.
type poisoned struct {
	asked []string
	caged []string // what was asked while a sandbox was required
	must  bool
}

const poison = "poison"

// Check implements Checker.
func (p *poisoned) Check(text []byte) error {
	p.asked = append(p.asked, string(text))
	if p.must {
		p.caged = append(p.caged, string(text))
	}
	if bytes.Contains(text, []byte(poison)) {
		return errors.New("its checking took more than 5s of processor time")
	}
	return nil
}

// RequireSandbox implements Checker.
func (p *poisoned) RequireSandbox(required bool) { p.must = required }

// TestRequireSandboxChecks: require_sandbox holds for the checking of texts, from the first
// text after a start on, and after an apply that sets it or takes it out.
func TestRequireSandboxChecks(t *testing.T) {
	r := newRig(t)
	check := &poisoned{}
	r.check = check
	r.edit("system.hcl", "system {", "system {\n  require_sandbox = true")
	r.start()
	if len(check.asked) == 0 || !slices.Equal(check.asked, check.caged) {
		t.Errorf("%d texts are checked, %d of them in a sandbox that must be whole", len(check.asked), len(check.caged))
	}
	for _, want := range []bool{false, true} {
		if want {
			r.edit("system.hcl", "require_sandbox = false", "require_sandbox = true")
		} else {
			r.edit("system.hcl", "require_sandbox = true", "require_sandbox = false")
		}
		if r.apply(0); check.must != want {
			t.Errorf("after the apply a whole sandbox is required: %v, want %v", check.must, want)
		}
	}
}

// TestRefusedText: a text that is not to be parsed here is no more than a mistake of its
// context, which goes on as it runs, also at the next start; and nobody parses it to
// show it.
func TestRefusedText(t *testing.T) {
	r := newRig(t)
	check := &poisoned{}
	r.check = check
	r.start()
	for _, text := range check.asked {
		if strings.Contains(text, "context \"red\"") || text == r.read("staff.psk") {
			t.Errorf("what is no text of a context is checked: %q", text)
		}
	}
	if !slices.Contains(check.asked, r.read("red.hcl")) {
		t.Error("the text of a context was not checked")
	}
	red := r.host.now()["red"]
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.write("red.hcl", rigTenant+"# poison\n# pre_shared_key = \"sesame\"\n")
	want := func(when string) {
		t.Helper()
		problems := r.snapshot().running.problems
		if contextsOf(problems) != "red" ||
			!strings.Contains(problems[0].Error, "red.hcl was not read: its checking took more than 5s") ||
			!strings.Contains(problems[0].Error, "system.hcl:") {
			t.Errorf("%s: %+v", when, problems)
		}
		if r.pool("blue") != "10.99.0.99" || r.pool("red") != "10.99.0.250" {
			t.Errorf("%s: blue has %s, red %s", when, r.pool("blue"), r.pool("red"))
		}
	}
	r.apply(0)
	want("apply")
	if r.host.now()["red"] != red {
		t.Error("red was touched")
	}
	for _, show := range []func() (Texts, error){
		func() (Texts, error) { return r.StartupConfig(t.Context(), "") },
		func() (Texts, error) { return r.RunningConfig("") },
	} {
		texts, err := show()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range texts.Files {
			if strings.Contains(f.Text, poison) || strings.Contains(f.Text, "sesame") {
				t.Errorf("%s is shown as %s", f.Name, f.Text)
			}
		}
	}
	if d, err := r.Diff(t.Context()); err != nil || strings.Contains(d.Text, "sesame") ||
		!strings.Contains(d.Text, "this file is not shown: its checking took") {
		t.Errorf("the difference is %+v, %v", d, err)
	}
	r.start()
	want("start")
}

// TestRefusedAnswer: what a server sends is not looked at before it is checked.
func TestRefusedAnswer(t *testing.T) {
	server, path := newConfServer(t)
	server.sends(green("192.0.2.1/24"))
	check := &poisoned{}
	first, err := load(t.Context(), path, check, reading{})
	if err != nil || len(check.asked) == 0 {
		t.Fatalf("%d texts were checked: %v", len(check.asked), err)
	}
	server.does(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("# poison\n")) })
	held, err := load(t.Context(), path, check, reading{old: first.texts})
	if err != nil || contextsOf(held.problems) != "green" ||
		!strings.Contains(held.problems[0].Error, "what the server sends is refused: its checking took") {
		t.Errorf("got %+v, %v", held.problems, err)
	}
}

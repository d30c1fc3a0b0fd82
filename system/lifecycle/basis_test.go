package lifecycle

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/system/fault"
)

// planned returns the basis of a plan, as it comes out of a file, and wants no problems.
func (r *rig) planned(how Leniency) *Basis {
	r.t.Helper()
	p, err := r.Plan(r.t.Context(), how)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := json.Marshal(p.Basis)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, secret := range []string{"everybody", "gateway's own"} {
		if strings.Contains(string(b), secret) {
			r.t.Errorf("a secret is in the plan: %s", b)
		}
	}
	out := &Basis{}
	if err := json.Unmarshal(b, out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// TestApplyPlan: a plan is done as it was made, once, and also by the next process.
func TestApplyPlan(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	plan := r.planned(Leniency{})
	if len(plan.Steps) != 1 || len(plan.Sources) != 4 {
		t.Errorf("the basis is %+v", plan)
	}
	done, err := r.Apply(t.Context(), operator, Apply{Basis: plan})
	if err != nil || len(done.Steps) != 1 || r.pool("blue") != "10.99.0.99" {
		t.Fatalf("got %+v, %v", done, err)
	}
	r.unchanged(func() error { _, err := r.Apply(t.Context(), operator, Apply{Basis: plan}); return err },
		"the plan does not hold any more")

	r.edit("blue.hcl", "10.99.0.99", "10.99.0.98")
	plan = r.planned(Leniency{})
	r.write("blue.hcl", strings.Replace(rigTenant, "10.99.0.250", "10.99.0.99", 1))
	r.start() // with what ran before
	r.write("blue.hcl", strings.Replace(rigTenant, "10.99.0.250", "10.99.0.98", 1))
	if _, err := r.Apply(t.Context(), operator, Apply{Basis: plan}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestStalePlan: a plan that something was changed since is refused, and says what.
func TestStalePlan(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *rig)
		says   string
	}{
		{"a text", func(r *rig) { r.edit("red.hcl", "10.99.0.250", "10.99.0.98") }, "red.hcl has changed"},
		{"a comment", func(r *rig) { r.edit("system.hcl", "interface", "# nothing\ninterface") },
			"system.hcl has changed"},
		{"a secret", func(r *rig) { r.write("staff.psk", "another key of everybody\n") }, "staff.psk has changed"},
		{"a file more", func(r *rig) {
			r.write("other.psk", "another key of everybody\n")
			r.edit("red.hcl", "staff.psk", "other.psk")
		}, "other.psk was not there, or nothing named it"},
		{"a context less", func(r *rig) {
			r.write("system.hcl", rigSystem[:strings.Index(rigSystem, `context "red"`)])
		}, "red.hcl is gone, or nothing names it any more"},
		{"a mistake", func(r *rig) { r.edit("red.hcl", "range", "rage") },
			`the configuration of context "red" cannot be used`},
		{"another version", func(r *rig) {
			now := r.read("blue.hcl")
			r.edit("blue.hcl", "10.99.0.99", "10.99.0.97")
			r.apply(0)
			r.write("blue.hcl", now)
		}, "version 2 runs, and version 1 ran then"},
		{"what there is", func(r *rig) { // a change in place that was not completed
			st := r.snapshot()
			for i, w := range st.is {
				if w.Name == "red" {
					st.is[i] = w.HalfChanged()
				}
			}
			r.setState(st)
		}, `it would now configure context "red"`},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			r := newRig(t)
			r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
			plan := r.planned(Leniency{})
			tt.change(r)
			before := r.snapshot().number
			_, err := r.Apply(t.Context(), operator, Apply{Basis: plan})
			var e *fault.Error
			if !errors.As(err, &e) || !strings.Contains(e.Detail, tt.says) || e.Hint == "" {
				t.Fatalf("got %v with %+v, want %q", err, e, tt.says)
			}
			if r.snapshot().number != before {
				t.Error("it was applied")
			}
			if _, err := r.Apply(t.Context(), operator, Apply{}); err != nil {
				t.Errorf("without a plan: %v", err)
			}
		})
	}
}

// TestPlanOfMistakes: a plan keeps what it was to do about mistakes.
func TestPlanOfMistakes(t *testing.T) {
	r := newRig(t)
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.edit("red.hcl", "range", "rage")
	plan := r.planned(Leniency{})
	if len(plan.Held) != 1 {
		t.Errorf("the basis is %+v", plan)
	}
	done, err := r.Apply(t.Context(), operator, Apply{Basis: plan})
	if err != nil || contextsOf(done.Problems) != "red" {
		t.Errorf("got %+v, %v", done, err)
	}
	r.edit("blue.hcl", "10.99.0.99", "10.99.0.98")
	plan = r.planned(Leniency{})
	r.write("red.hcl", rigTenant)
	_, err = r.Apply(t.Context(), operator, Apply{Basis: plan})
	var e *fault.Error
	if !errors.As(err, &e) || !strings.Contains(e.Detail, `context "red" can be used again`) {
		t.Errorf("got %v with %+v", err, e)
	}
}

// TestPlanKey: the key of digests is root's alone, and another one where it was damaged.
func TestPlanKey(t *testing.T) {
	r := newRig(t)
	info, err := os.Stat(r.path("state/history/plan.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	plan := r.planned(Leniency{})
	if err := os.WriteFile(r.path("state/history/plan.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	if _, err := r.Apply(t.Context(), operator, Apply{Basis: plan}); err == nil {
		t.Error("a plan that nobody can check is applied")
	}
}

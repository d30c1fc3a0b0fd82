package lifecycle

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// kept is a Keeper that notes what it is told.
type kept struct {
	calls []string
	disks []string // that are there
}

func (k *kept) Contexts() []string { return k.disks }

func (k *kept) SetAside(names []string) {
	k.calls = append(k.calls, "aside "+strings.Join(names, " "))
	k.disks = slices.DeleteFunc(k.disks, func(name string) bool { return slices.Contains(names, name) })
}

func (k *kept) BringBack(names []string) {
	k.calls = append(k.calls, "back "+strings.Join(names, " "))
	k.disks = append(k.disks, names...)
}

// TestRemovedContexts: the disk of a context is set aside once the context is gone, stays
// aside when another one of that name comes, and comes back with an earlier version.
func TestRemovedContexts(t *testing.T) {
	r := newRig(t)
	k := &kept{}
	r.keeper = k
	r.start()
	told := func(want ...string) {
		t.Helper()
		if !slices.Equal(k.calls, want) {
			t.Errorf("told %q, want %q", k.calls, want)
		}
		k.calls = nil
	}
	without := rigSystem[:strings.Index(rigSystem, `context "red"`)]

	r.write("system.hcl", without)
	r.host.fail["configure blue"] = errors.New("no")
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	if _, err := r.Apply(t.Context(), operator, Apply{}); err == nil {
		t.Fatal("it was applied")
	}
	told() // it is not gone
	r.host.fail = map[string]error{}
	r.apply(0)
	told("aside red")

	r.write("system.hcl", rigSystem)
	r.apply(0)
	told() // another one
	r.write("system.hcl", without)
	if _, err := r.Reload(t.Context(), operator, Leniency{}); err != nil {
		t.Fatal(err)
	}
	told("aside red")

	r.host.fail["start red"] = errors.New("no")
	if err := r.rollback(1); err == nil {
		t.Fatal("it runs")
	}
	told("back red", "aside red")
	r.host.fail = map[string]error{}
	if err := r.rollback(1); err != nil {
		t.Fatal(err)
	}
	told("back red")

	r.apply(60) // without red, until it is not confirmed
	told("aside red")
	r.time = r.time.Add(61e9)
	if err := r.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	told("back red")
}

// TestRemovedMeanwhile: what was removed while nobody ran is set aside by the next start, and
// a context that is left out because of a mistake is not.
func TestRemovedMeanwhile(t *testing.T) {
	r := newRig(t)
	k := &kept{disks: []string{"blue", "red"}}
	r.keeper = k
	r.write("system.hcl", rigSystem[:strings.Index(rigSystem, `context "red"`)])
	r.start()
	if !slices.Equal(k.calls, []string{"aside red"}) {
		t.Errorf("told %q", k.calls)
	}
	k.calls = nil
	r.start()
	r.write("system.hcl", rigSystem)
	r.write("red.hcl", "nothing")
	r.start() // without red, which is new
	if len(k.calls) > 0 {
		t.Errorf("told %q", k.calls)
	}
	r.write("red.hcl", rigTenant)
	r.apply(0)
	r.write("red.hcl", "nothing")
	r.start()
	r.apply(0)
	if len(k.calls) > 0 {
		t.Errorf("told %q", k.calls)
	}
}

// TestRemovedHalfway: a process that ends between the version without a context and the end
// of that context leaves a disk, which the next start sets aside, however many versions came
// since. A disk of a context that never was stays.
func TestRemovedHalfway(t *testing.T) {
	r := newRig(t)
	r.start()
	r.write("system.hcl", rigSystem[:strings.Index(rigSystem, `context "red"`)])
	r.apply(0) // and nobody sets anything aside
	k := &kept{disks: []string{"blue", "green", "red"}}
	r.keeper = k
	r.edit("blue.hcl", "10.99.0.250", "10.99.0.99")
	r.start()
	if !slices.Equal(k.calls, []string{"aside red"}) {
		t.Errorf("told %q", k.calls)
	}
	r.start()
	if len(k.calls) != 1 {
		t.Errorf("told %q", k.calls)
	}
}

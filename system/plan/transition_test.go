package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/spec"
)

// text is work in one line, such as "configure a; stop b; start b; await b".
func (w Work) text() string {
	var parts []string
	add := func(what string, names ...string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, " "))
		}
	}
	add("configure", namesOf(w.Configure)...)
	add("stop", w.Stop...)
	add("start", namesOf(w.Start)...)
	add("await", w.Await...)
	return strings.Join(parts, "; ")
}

// namesOf are the names of contexts, those of an earlier configuration with "old-".
func namesOf(list []*Wanted) (names []string) {
	for _, w := range list {
		names = append(names, w.Class+w.Name)
	}
	return names
}

// TestStages: what can fail comes before what ends SAs, and each stage has its way back.
func TestStages(t *testing.T) {
	want := func(name, device string) *Wanted {
		return &Wanted{Tenant: configs.Tenant{Name: name}, Devices: []spec.Device{{Host: device}}}
	}
	old := func(name, device string) *Wanted {
		w := want(name, device)
		w.Class = "old-"
		return w
	}
	tests := []struct {
		name     string
		steps    []Step
		do, undo []string // stage by stage
	}{
		{"nothing", nil, []string{"", "", "", "", ""}, []string{"", "", "", "", ""}},
		{
			"one of each", []Step{
				{Context: "gone", Action: ActionRemove, SAs: EffectEnd, Old: old("gone", "d1")},
				{Context: "stays", Action: ActionConfigure, SAs: EffectStay, Want: want("stays", "d2"),
					Old: old("stays", "d2")},
				{Context: "loses", Action: ActionConfigure, SAs: EffectSomeEnd, Want: want("loses", "d3"),
					Old: old("loses", "d3")},
				{Context: "new", Action: ActionCreate, SAs: EffectNone, Want: want("new", "d4")},
				{Context: "heir", Action: ActionCreate, SAs: EffectNone, Want: want("heir", "d1")},
				{Context: "anew", Action: ActionRebuild, SAs: EffectEnd, Want: want("anew", "d5"),
					Old: old("anew", "d6")},
				{Context: "rests", Action: ActionSuspend, SAs: EffectEnd, Want: want("rests", "d7"),
					Old: old("rests", "d7")},
				{Context: "wakes", Action: ActionResume, SAs: EffectNone, Want: want("wakes", "d8"),
					Old: old("wakes", "d8")},
			},
			[]string{
				"configure stays", "stop wakes; start new wakes; await new wakes", "configure loses",
				"stop gone anew rests",
				"start heir anew rests; await heir anew rests",
			},
			[]string{
				"configure old-stays", "stop new wakes; start old-wakes", "configure old-loses",
				"start old-gone old-anew old-rests; await gone anew rests", "stop heir anew rests",
			},
		},
	}
	for _, tt := range tests {
		tr := &Transition{Steps: tt.steps}
		var do, undo []string
		for _, stage := range tr.Stages() {
			do, undo = append(do, stage.Do.text()), append(undo, stage.Undo.text())
		}
		if diff := cmp.Diff(tt.do, do); diff != "" {
			t.Errorf("%s: do (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.undo, undo); diff != "" {
			t.Errorf("%s: undo (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestOutcome: who is touched by no step stays, and a step that is not taken changes
// nothing.
func TestOutcome(t *testing.T) {
	b := newBox(t)
	is := b.wanted([]byte("key"))
	b.write("system.hcl", strings.Replace(twoContexts, `context "red"`, `context "green"`, 1))
	tr := &Transition{Is: is, Steps: Steps(is, b.wanted([]byte("key")))}
	for _, tt := range []struct {
		what string
		got  []*Wanted
		want []string
	}{
		{"all steps", tr.Outcome(tr.Steps), []string{"blue", "green"}},
		{"the removal alone", tr.Outcome(tr.Steps[:1]), []string{"blue"}},
		{"no step", tr.Outcome(nil), []string{"blue", "red"}},
		{"both", tr.Both(), []string{"green", "blue", "red"}},
		{"freed", tr.Freed(), []string{"red"}},
	} {
		var got []string
		for _, w := range tt.got {
			got = append(got, w.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, got, tt.want)
		}
	}
}

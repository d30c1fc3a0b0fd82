package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
)

// maxConcerned bounds what one line says of a change.
const maxConcerned = 4

// Steps compares what is with what is wanted, in the order of the names: removals
// come first, so that what they free can be taken.
func Steps(is, want []*Wanted) []Step {
	had, wants := byName(is), byName(want)
	var steps []Step
	for _, old := range is {
		if wants[old.Name] == nil {
			steps = append(steps, Step{old.Name, ActionRemove, old.endEffect(),
				"it is no longer configured; its disk0: is set aside", nil, old})
		}
	}
	for _, w := range want {
		if s, ok := compare(had[w.Name], w); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

func byName(list []*Wanted) map[string]*Wanted {
	m := make(map[string]*Wanted, len(list))
	for _, w := range list {
		m[w.Name] = w
	}
	return m
}

// compare returns the step from old, which may be nil, to w.
func compare(old, w *Wanted) (Step, bool) {
	changes, some := "", false
	if old != nil {
		changes, some = old.changes(w)
	}
	switch {
	case old == nil && w.Suspended:
		return Step{w.Name, ActionCreate, EffectNone, "it is new, and suspended", w, nil}, true
	case old == nil:
		return Step{w.Name, ActionCreate, EffectNone, "it is new", w, nil}, true
	case w.Suspended && !old.Suspended:
		return Step{w.Name, ActionSuspend, EffectEnd, "it is suspended", w, old}, true
	case !w.Suspended && old.Suspended:
		return Step{w.Name, ActionResume, EffectNone, "it is no longer suspended", w, old}, true
	case old.network != w.network && w.Suspended:
		return Step{w.Name, ActionConfigure, EffectNone, "its interfaces have changed", w, old}, true
	case old.network != w.network:
		return Step{w.Name, ActionRebuild, EffectEnd, "its interfaces have changed", w, old}, true
	case old.FailoverGroup != w.FailoverGroup && !w.Suspended:
		return Step{w.Name, ActionRebuild, EffectEnd, "its failover group has changed", w, old}, true
	case changes != "":
		return Step{w.Name, ActionConfigure, old.configureEffect(w, some), changes, w, old}, true
	}
	return Step{}, false
}

// endEffect is what the end of a context does to its SAs.
func (old *Wanted) endEffect() Effect {
	if old.Suspended {
		return EffectNone
	}
	return EffectEnd
}

// configureEffect is what a change in place does to SAs, of which it concerns some or none.
func (old *Wanted) configureEffect(w *Wanted, some bool) Effect {
	switch {
	case w.Suspended:
		return EffectNone
	case old.half, some:
		return EffectSomeEnd
	}
	return EffectStay
}

// changes says what of a context has changed that can be changed in place, and whether that
// concerns SAs which stand.
func (old *Wanted) changes(w *Wanted) (text string, some bool) {
	var list []string
	if old.half {
		list = append(list, "its last change has failed")
	}
	if old.Limits != w.Limits {
		list = append(list, "its limits have changed")
	}
	if old.told != w.told {
		text := "its configuration has changed"
		if what := concerned(old.Spec, w.Spec); len(what) > 0 {
			some = true
			if more := len(what) - maxConcerned; more > 0 {
				what = append(what[:maxConcerned], fmt.Sprintf("%d more", more))
			}
			text += " (" + strings.Join(what, ", ") + ")"
		}
		list = append(list, text)
	}
	if old.RequireSandbox != w.RequireSandbox {
		list = append(list, "require_sandbox has changed, for its next worker")
	}
	if list == nil && (old.Class != w.Class || old.Config != w.Config ||
		!slices.EqualFunc(old.Allocations, w.Allocations, samePlace) ||
		!slices.Equal(old.Storage, w.Storage)) {
		list = append(list, "its place in the system configuration has changed")
	}
	return strings.Join(list, ", "), some
}

// samePlace reports whether two allocations give the same interface under the
// same name. Which addresses are allowed on it was checked on loading.
func samePlace(a, b configs.Allocation) bool { return a.Interface == b.Interface && a.Name == b.Name }

package plan

import (
	"slices"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// Transition leads from what is to what is wanted.
type Transition struct {
	From, To resource.Totals // of the host, for what contexts share
	Is       []*Wanted       // before
	Steps    []Step
}

// Stage is a part of a transaction, with what undoes it, wholly or half done.
type Stage struct{ Do, Undo Work }

// Work is what an actor does at one stage, in the order of the fields. Contexts of one
// field may be worked on at once, except those of Start.
type Work struct {
	Configure []*Wanted // in place; the first error ends the stage
	Stop      []string  // and wait until nothing is left of them
	Start     []*Wanted // in this order
	Await     []string  // until each is ready, or one cannot be
}

// Stages takes all steps, so that on an error everything can be as before: what was
// done is undone, in reverse order. What can fail comes before what ends SAs, because
// those cannot be brought back:
//
//	configure what keeps its SAs            undone by the old configuration
//	start what needs no device in use       undone by its stop
//	configure what ends SAs                 undone by the old configuration
//	stop what goes, is suspended or rebuilt undone by its start
//	start the rest                          undone by its stop
func (t *Transition) Stages() []Stage {
	first, rest := t.independent()
	stay, lose := partition(t.Steps, func(st Step) bool { return st.SAs != EffectSomeEnd })
	ending, _ := partition(t.Steps, Step.Stops)
	return []Stage{
		{configure(stay), reconfigure(stay)},
		{starting(first), undoStart(first)},
		{configure(lose), reconfigure(lose)},
		{Work{Stop: Names(ending)}, Work{Start: olds(ending), Await: Names(ending)}},
		{starting(rest), undoStart(rest)},
	}
}

// Freed are the contexts whose devices come back.
func (t *Transition) Freed() []*Wanted {
	ending, _ := partition(t.Steps, Step.Stops)
	return olds(ending)
}

// Outcome is what there is after some of the steps.
func (t *Transition) Outcome(steps []Step) []*Wanted {
	touched := map[string]bool{}
	for _, st := range steps {
		touched[st.Context] = true
	}
	var list []*Wanted
	for _, old := range t.Is {
		if !touched[old.Name] {
			list = append(list, old)
		}
	}
	for _, st := range steps {
		if st.Want != nil {
			list = append(list, st.Want)
		}
	}
	return list
}

// Both are the contexts before and after, those that there were as they were: what must
// be served as long as either may be needed.
func (t *Transition) Both() []*Wanted {
	was := byName(t.Is)
	var list []*Wanted
	for _, w := range t.Outcome(t.Steps) {
		if was[w.Name] == nil {
			list = append(list, w)
		}
	}
	return append(list, t.Is...)
}

// Names are the contexts of steps, in order.
func Names(steps []Step) []string {
	var list []string
	for _, st := range steps {
		list = append(list, st.Context)
	}
	return list
}

// olds are what there was before steps.
func olds(steps []Step) []*Wanted {
	var list []*Wanted
	for _, st := range steps {
		list = append(list, st.Old)
	}
	return list
}

// configure changes contexts in place.
func configure(steps []Step) (w Work) {
	for _, st := range steps {
		if st.Action == ActionConfigure {
			w.Configure = append(w.Configure, st.Want)
		}
	}
	return w
}

// reconfigure undoes configure, whichever contexts it has reached.
func reconfigure(steps []Step) (w Work) {
	for _, st := range steps {
		if st.Action == ActionConfigure {
			w.Configure = append(w.Configure, st.Old)
		}
	}
	return w
}

// starting starts contexts, and waits until all of them are ready. A suspended context has
// a placeholder, which is stopped first.
func starting(steps []Step) (w Work) {
	for _, st := range steps {
		if st.Action == ActionResume {
			w.Stop = append(w.Stop, st.Context)
		}
		w.Start, w.Await = append(w.Start, st.Want), append(w.Await, st.Context)
	}
	return w
}

// undoStart undoes starting, also where that has stopped on its way.
func undoStart(steps []Step) Work {
	w := Work{Stop: Names(steps)}
	for _, st := range steps {
		if st.Action == ActionResume {
			w.Start = append(w.Start, st.Old)
		}
	}
	return w
}

// independent splits the steps that begin a context into those that need nothing
// of what ends, and the others.
func (t *Transition) independent() (first, rest []Step) {
	used := map[string]bool{}
	for _, w := range t.Freed() {
		for _, d := range w.Devices {
			used[d.Host] = true
		}
	}
	beginning, _ := partition(t.Steps, Step.Starts)
	return partition(beginning, func(st Step) bool {
		return !st.Stops() && !slices.ContainsFunc(st.Want.Devices, func(d spec.Device) bool { return used[d.Host] })
	})
}

func partition(steps []Step, is func(Step) bool) (yes, no []Step) {
	for _, st := range steps {
		if is(st) {
			yes = append(yes, st)
		} else {
			no = append(no, st)
		}
	}
	return yes, no
}

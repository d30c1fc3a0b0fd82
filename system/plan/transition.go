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
// field may be worked on at once, except where Begin says which is first.
type Work struct {
	Configure []*Wanted // in place; the first error ends the stage
	End       []string  // and wait until nothing is left of them
	Begin     []*Wanted // in this order
	Await     []string  // until each is ready, or one cannot be
}

// Stages takes all steps, so that on an error everything can be as before: what was
// done is undone, in reverse order. What can fail comes before what ends SAs, because
// those cannot be brought back:
//
//	configure what keeps its SAs            undone by the old configuration
//	begin what needs no device in use       undone by its end
//	configure what ends SAs                 undone by the old configuration
//	end what goes, is suspended or rebuilt  undone by its beginning
//	begin the rest                          undone by its end
func (t *Transition) Stages() []Stage {
	first, rest := t.independent()
	stay, lose := partition(t.Steps, func(st Step) bool { return st.SAs != EffectSomeEnd })
	ending, _ := partition(t.Steps, Step.Ends)
	return []Stage{
		{configure(stay), reconfigure(stay)},
		{begin(first), unbegin(first)},
		{configure(lose), reconfigure(lose)},
		{Work{End: Names(ending)}, Work{Begin: olds(ending), Await: Names(ending)}},
		{begin(rest), unbegin(rest)},
	}
}

// Freed are the contexts whose devices come back.
func (t *Transition) Freed() []*Wanted {
	ending, _ := partition(t.Steps, Step.Ends)
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

// begin begins contexts, and waits until all of them are ready. What stands for a
// suspended one goes first.
func begin(steps []Step) (w Work) {
	for _, st := range steps {
		if st.Action == ActionResume {
			w.End = append(w.End, st.Context)
		}
		w.Begin, w.Await = append(w.Begin, st.Want), append(w.Await, st.Context)
	}
	return w
}

// unbegin undoes begin, also one that has stopped on its way.
func unbegin(steps []Step) Work {
	w := Work{End: Names(steps)}
	for _, st := range steps {
		if st.Action == ActionResume {
			w.Begin = append(w.Begin, st.Old)
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
	beginning, _ := partition(t.Steps, Step.Begins)
	return partition(beginning, func(st Step) bool {
		return !st.Ends() && !slices.ContainsFunc(st.Want.Devices, func(d spec.Device) bool { return used[d.Host] })
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

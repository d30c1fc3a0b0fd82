package plan

import "fmt"

// Action is what happens to a context.
type Action string

// The actions of a plan.
const (
	ActionCreate    Action = "create"
	ActionConfigure Action = "configure" // in place
	ActionRebuild   Action = "rebuild"   // with a new namespace
	ActionSuspend   Action = "suspend"
	ActionResume    Action = "resume"
	ActionRemove    Action = "remove"
)

// Effect is what a step does to the SAs of its context.
type Effect string

// The effects of steps.
const (
	EffectNone    Effect = "none"     // there are none
	EffectStay    Effect = "stay"     // all stay
	EffectSomeEnd Effect = "some_end" // those that the change concerns end, with a DELETE, or are rekeyed
	EffectEnd     Effect = "end"      // all end, with a DELETE
)

// Step is what a plan does to one context.
type Step struct {
	Context string
	Action  Action
	SAs     Effect
	Why     string
	Want    *Wanted // nil for removal
	Old     *Wanted // nil for creation
}

// String is the step for the operator.
func (s Step) String() string {
	return fmt.Sprintf("%s context %q: %s", s.Action, s.Context, s.Why)
}

// Stops tells whether the step ends the present life of the context.
func (s Step) Stops() bool {
	return s.Action == ActionRemove || s.Action == ActionRebuild || s.Action == ActionSuspend
}

// Starts tells whether the step starts a life of the context: afterwards the context is
// built, or waits suspended.
func (s Step) Starts() bool { return s.Action != ActionRemove && s.Action != ActionConfigure }

package system

import (
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/plan"
)

// stepsOf are steps in the words of the API.
func stepsOf(list []plan.Explained) []api.Step {
	var out []api.Step
	for _, st := range list {
		one := api.Step{Context: st.Context, Action: api.Action(st.Action), SAs: api.Effect(st.SAs), Why: st.Why}
		for _, c := range st.Changes {
			one.Changes = append(one.Changes, api.ConfigChange(c))
		}
		out = append(out, one)
	}
	return out
}

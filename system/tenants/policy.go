package tenants

import (
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/context/policy"
	"github.com/warrenvpn/warren/system/fault"
)

// PolicyQuery is whose session is asked about.
type PolicyQuery struct{ User, Group, Interface string }

// Policy says what a session of a user of the context called name would get. Group "" is
// the tunnel group that the user gets as an identity. NoContext where there is no such
// context, CodeInvalid where it has no such tunnel group. No worker is asked.
func (s *Tenants) Policy(name string, q PolicyQuery) (policy.Attributes, []policy.Setting, error) {
	s.mu.Lock()
	t := s.byName[name]
	s.mu.Unlock()
	if t == nil {
		return policy.Attributes{}, nil, fault.NoContext(name)
	}
	t.mu.Lock()
	set := policy.NewSet(t.want.Spec)
	t.mu.Unlock()
	hint := "context " + name + " has no tunnel_group of type remote-access"
	if groups := set.Groups(); len(groups) > 0 {
		hint = "give one of its tunnel groups: " + strings.Join(groups, ", ")
	}
	if q.Group == "" {
		group, ok := set.GroupOf(q.User)
		if !ok {
			return policy.Attributes{}, nil, &fault.Error{Code: fault.CodeInvalid, Hint: hint,
				Reason: fmt.Sprintf("no tunnel_group of context %q takes %q", name, q.User)}
		}
		q.Group = group
	}
	a, list, ok := set.Explain(policy.Subject{Group: q.Group, User: q.User, Interface: q.Interface})
	if !ok {
		return a, nil, &fault.Error{Code: fault.CodeInvalid, Hint: hint,
			Reason: fmt.Sprintf("context %q has no tunnel_group %q", name, q.Group)}
	}
	return a, list, nil
}

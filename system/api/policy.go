package api

import (
	"context"
	"net/http"

	"github.com/warrenvpn/warren/system/fault"
)

// Policies is the part of a Backend that knows what sessions get.
type Policies interface {
	// Policy says what a session would get by the running configuration. NoContext where
	// there is no such context, CodeInvalid where it has no such tunnel group. It waits for
	// no worker.
	Policy(ctx context.Context, name string, q PolicyQuery) (Policy, error)
}

// PolicyQuery is whose session it is about.
type PolicyQuery struct {
	User      string // identity; never empty
	Group     string // tunnel group; "": the one that the identity gets
	Interface string // where the client comes in; "": anywhere
}

// Policy answers `show policy`.
type Policy struct {
	Context     string      `json:"context"`
	User        string      `json:"user"`
	TunnelGroup string      `json:"tunnel_group"`
	GroupPolicy string      `json:"group_policy"`
	Attributes  []Attribute `json:"attributes"`
}

// Attribute is one attribute of a session.
type Attribute struct {
	Name   string `json:"name"`   // as configurations write it
	Value  string `json:"value"`  // "none": nothing
	Source string `json:"source"` // who says it
}

// The parameters of a PolicyQuery.
const (
	userParam  = "user"
	groupParam = "group"
)

func (s *Server) policy(r *http.Request) (any, error) {
	given := r.URL.Query()
	q := PolicyQuery{User: given.Get(userParam), Group: given.Get(groupParam), Interface: given.Get(interfaceParam)}
	if q.User == "" {
		return nil, &fault.Error{Code: fault.CodeInvalid, Reason: "parameter user is missing: whose session?"}
	}
	p, err := s.cfg.Backend.Policy(r.Context(), r.PathValue(contextParam), q)
	p.Attributes = orEmpty(p.Attributes)
	return p, err
}

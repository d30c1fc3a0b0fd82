package apitest

import (
	"context"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Policies is an api.Policies that knows what sessions of blue get.
type Policies struct{}

var _ api.Policies = Policies{}

// Policy implements api.Policies.
func (Policies) Policy(_ context.Context, name string, q api.PolicyQuery) (api.Policy, error) {
	switch {
	case name != "blue":
		return api.Policy{}, fault.NoContext(name)
	case q.Group != "" && q.Group != "DefaultRAGroup":
		return api.Policy{}, &fault.Error{Code: fault.CodeInvalid,
			Reason: `context "blue" has no tunnel_group "` + q.Group + `"`,
			Hint:   "give one of its tunnel groups: DefaultRAGroup"}
	}
	return api.Policy{Context: name, User: q.User, TunnelGroup: "DefaultRAGroup", GroupPolicy: "staff",
		Attributes: []api.Attribute{
			{Name: "dns_servers", Value: "10.10.0.53", Source: `group_policy "staff"`},
			{Name: "address_pools", Value: "staff", Source: `tunnel_group "DefaultRAGroup"`},
			{Name: "banner", Value: "none", Source: `group_policy "DfltGrpPolicy"`},
		}}, nil
}

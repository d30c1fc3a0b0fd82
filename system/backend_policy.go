package system

import (
	"context"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/tenants"
)

// policies answers the API for what sessions get, in its words.
type policies struct{ tenants *tenants.Tenants }

var _ api.Policies = policies{}

// Policy implements api.Policies.
func (p policies) Policy(_ context.Context, name string, q api.PolicyQuery) (api.Policy, error) {
	a, list, err := p.tenants.Policy(name, tenants.PolicyQuery(q))
	if err != nil {
		return api.Policy{}, err
	}
	out := api.Policy{Context: name, User: q.User, TunnelGroup: a.TunnelGroup, GroupPolicy: a.GroupPolicy}
	for _, s := range list {
		out.Attributes = append(out.Attributes, api.Attribute{Name: s.Name, Value: s.Value, Source: s.Source.String()})
	}
	return out, nil
}

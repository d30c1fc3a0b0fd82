package client

import (
	"context"
	"net/url"

	"github.com/warrenvpn/warren/system/api"
)

// Policy asks what a session of a user would get in a context.
func (c *Client) Policy(ctx context.Context, name string, q api.PolicyQuery) (api.Policy, error) {
	given := url.Values{"user": {q.User}}
	if q.Group != "" {
		given.Set("group", q.Group)
	}
	if q.Interface != "" {
		given.Set("interface", q.Interface)
	}
	return get[api.Policy](ctx, c, "/v1/contexts/"+url.PathEscape(name)+"/policy?"+given.Encode(), "")
}

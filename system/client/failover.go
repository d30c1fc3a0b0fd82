package client

import (
	"context"

	"github.com/warrenvpn/warren/system/api"
)

// Failover describes the failover pair.
func (c *Client) Failover(ctx context.Context) (api.Failover, error) {
	return get[api.Failover](ctx, c, "/v1/failover", "")
}

// Switch makes the other unit active for the group called name, or with "" for
// all that are active here.
func (c *Client) Switch(ctx context.Context, name string) (api.Switched, error) {
	return post[api.Switched](ctx, c, "/v1/failover/switch", api.Switch{Group: name})
}

package client

import (
	"context"

	"github.com/warrenvpn/warren/system/api"
)

// Orphans lists the disks of contexts that were removed.
func (c *Client) Orphans(ctx context.Context) (api.OrphanList, error) {
	return get[api.OrphanList](ctx, c, "/v1/orphans", "")
}

// EraseOrphans erases disks of contexts that were removed, for good.
func (c *Client) EraseOrphans(ctx context.Context, which api.EraseOrphans) (api.ErasedOrphans, error) {
	return post[api.ErasedOrphans](ctx, c, "/v1/orphans/erase", which)
}

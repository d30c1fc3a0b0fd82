package client

import (
	"context"
	"net/http"
	"strings"

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

// SyncConfig gives what the units have in common to the peer.
func (c *Client) SyncConfig(ctx context.Context) (api.Synced, error) {
	return call[api.Synced](ctx, c, request{verb: http.MethodPost, path: "/v1/failover/sync-config",
		timeout: reloadTimeout})
}

// DiffPeer compares what runs on the peer with what runs here: of the context called name,
// or of all with "".
func (c *Client) DiffPeer(ctx context.Context, name string) (api.Diff, error) {
	return get[api.Diff](ctx, c, "/v1/failover/diff", name)
}

// throughPeer asks the peer instead.
type throughPeer struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t throughPeer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = "/v1/peer/" + strings.TrimPrefix(r.URL.Path, "/v1/")
	return t.Transport.RoundTrip(r)
}

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/warrenvpn/warren/system/api"
)

// Plan says what Apply would do now.
func (c *Client) Plan(ctx context.Context, how api.Leniency) (api.Plan, error) {
	return get[api.Plan](ctx, c, "/v1/config/plan"+queryOf(how), "")
}

// PlanWithBasis is Plan with what the plan follows from, for an Apply that does just that.
func (c *Client) PlanWithBasis(ctx context.Context, how api.Leniency) (api.Plan, error) {
	path, more := "/v1/config/plan"+queryOf(how), "?"
	if strings.Contains(path, more) {
		more = "&"
	}
	return get[api.Plan](ctx, c, path+more+"basis=true", "")
}

// Apply makes the startup configuration the running one, or changes nothing.
func (c *Client) Apply(ctx context.Context, how api.Apply) (api.Applied, error) {
	return post[api.Applied](ctx, c, "/v1/config/apply", how)
}

// Confirm keeps what would be rolled back.
func (c *Client) Confirm(ctx context.Context) (api.Version, error) {
	return call[api.Version](ctx, c, request{verb: http.MethodPost, path: "/v1/config/confirm", timeout: quickTimeout})
}

// Rollback makes an earlier version the running configuration.
func (c *Client) Rollback(ctx context.Context, how api.Rollback) (api.Applied, error) {
	return post[api.Applied](ctx, c, "/v1/config/rollback", how)
}

// WriteMemory makes the running configuration the startup configuration.
func (c *Client) WriteMemory(ctx context.Context) (api.Written, error) {
	return call[api.Written](ctx, c, request{verb: http.MethodPost, path: "/v1/config/write-memory",
		timeout: quickTimeout})
}

// RunningConfig returns the running configuration: of the context called name,
// or all with "".
func (c *Client) RunningConfig(ctx context.Context, name string) (api.ConfigTexts, error) {
	return get[api.ConfigTexts](ctx, c, "/v1/config/running", name)
}

// StartupConfig returns the startup configuration as RunningConfig does.
func (c *Client) StartupConfig(ctx context.Context, name string) (api.ConfigTexts, error) {
	return get[api.ConfigTexts](ctx, c, "/v1/config/startup", name)
}

// Diff compares the startup with the running configuration.
func (c *Client) Diff(ctx context.Context) (api.Diff, error) {
	return get[api.Diff](ctx, c, "/v1/config/diff", "")
}

// History lists the versions that are kept.
func (c *Client) History(ctx context.Context) (api.History, error) {
	return get[api.History](ctx, c, "/v1/config/history", "")
}

// post asks a route that may start and stop workers.
func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	b, err := json.Marshal(body)
	if err != nil {
		var none T
		return none, fmt.Errorf("client: encoding request: %w", err)
	}
	return call[T](ctx, c, request{verb: http.MethodPost, path: path, body: b, timeout: reloadTimeout})
}

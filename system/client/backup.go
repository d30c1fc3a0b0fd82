package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/warrenvpn/warren/system/api"
)

// Backup returns a backup as it comes. The caller reads to the end, where a backup that was
// cut off is an error, and closes it.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.open(ctx, http.MethodGet, "/v1/backup", nil, 0)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Restore restores a backup, or says what that would do.
func (c *Client) Restore(ctx context.Context, how api.Restore, r io.Reader) (api.Restored, error) {
	q := url.Values{"running": {strconv.Itoa(how.Running)}, "confirm": {strconv.Itoa(how.Confirm)}}
	for name, is := range map[string]bool{"plan": how.Plan, "local": how.Local} {
		if is {
			q.Set(name, "true")
		}
	}
	if how.Comment != "" {
		q.Set("comment", how.Comment)
	}
	return stream[api.Restored](ctx, c, http.MethodPost, "/v1/restore?"+q.Encode(), r, -1)
}

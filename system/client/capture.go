package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/warrenvpn/warren/context/control"
)

// Capture begins a capture of the context called name and returns it, as
// pcapng, as it comes: until one of its bounds is reached or ctx ends. The
// caller closes it. What the network brought is in it, so it is hostile.
func (c *Client) Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error) {
	q := url.Values{"interface": {which.Interface}}
	if which.Count > 0 {
		q.Set("count", strconv.FormatUint(which.Count, 10))
	}
	if which.Duration != 0 {
		q.Set("duration", which.Duration.String())
	}
	resp, err := c.open(ctx, http.MethodGet, "/v1/contexts/"+url.PathEscape(name)+"/capture?"+q.Encode(), nil, 0)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

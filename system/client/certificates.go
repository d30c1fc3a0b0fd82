package client

import (
	"context"

	"github.com/warrenvpn/warren/system/api"
)

// Certificates lists the certificates of all contexts.
func (c *Client) Certificates(ctx context.Context) (api.CertificateList, error) {
	return get[api.CertificateList](ctx, c, "/v1/certificates", "")
}

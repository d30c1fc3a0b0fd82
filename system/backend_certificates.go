package system

import (
	"context"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/tenants"
)

// certificates answers the API for the certificates of contexts, in its words.
type certificates struct{ tenants *tenants.Tenants }

var _ api.Certificates = certificates{}

// uses are what certificates are for, in the words of the API.
var uses = map[tenants.Use]string{
	tenants.ProvesGateway:     api.UseGateway,
	tenants.VouchesForGateway: api.UseChain,
	tenants.VouchesForPeers:   api.UseAuthority,
}

// ListCertificates implements api.Certificates.
func (c certificates) ListCertificates(ctx context.Context) (out api.CertificateList, err error) {
	list, err := c.tenants.Certificates(ctx)
	for _, one := range list {
		out.Certificates = append(out.Certificates, api.Certificate{
			Context: one.Context, Trustpoint: one.Trustpoint, Use: uses[one.Use], Subject: one.Subject,
			Issuer: one.Issuer, Serial: one.Serial, NotBefore: one.NotBefore, NotAfter: one.NotAfter,
		})
	}
	return out, err
}

package apitest

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/system/api"
)

// Certificates is an api.Certificates with those of blue: the gateway's ends soon, and that
// of an authority has ended.
type Certificates struct{}

var _ api.Certificates = Certificates{}

// ListCertificates implements api.Certificates.
func (Certificates) ListCertificates(context.Context) (api.CertificateList, error) {
	begin := time.Date(2025, 11, 24, 12, 0, 0, 0, time.UTC)
	const root = "asn1dn:CN=root,O=Example"
	return api.CertificateList{Certificates: []api.Certificate{
		{Context: "blue", Trustpoint: "gateway", Use: api.UseGateway, Subject: "asn1dn:CN=gw,O=Example", Issuer: root,
			Serial: "2a", NotBefore: begin, NotAfter: begin.AddDate(1, 0, 20)},
		{Context: "blue", Trustpoint: "clients", Use: api.UseAuthority, Subject: root, Issuer: root,
			Serial: "1", NotBefore: begin, NotAfter: begin.AddDate(0, 11, 0)},
	}}, nil
}

package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// End is what the owner of a certificate is in a VPN, which its extended key usage may
// bound.
type End uint8

// The ends.
const (
	AnyEnd  End = iota // a client or a gateway
	Client             // a remote-access client
	Gateway            // who is connected to
)

// The extended key usages of IKE that crypto/x509 has no name for: ipsecIKE (RFC 4945
// section 5.1.3.12), and iKEIntermediate, which older authorities write in its place.
var (
	oidIPsecIKE        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 17}
	oidIKEIntermediate = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 2, 2}
)

// CheckUsage returns why a certificate must not prove an end of IKE (RFC 4945 section
// 5.1.3). Without the extensions it may.
func CheckUsage(c *x509.Certificate, end End) error {
	if len(c.UnhandledCriticalExtensions) > 0 {
		return wrong(c, "has a critical extension that is not understood: %v", c.UnhandledCriticalExtensions[0])
	}
	const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if c.KeyUsage != 0 && c.KeyUsage&signs == 0 {
		return wrong(c, "is not for signatures: its key usage has neither digitalSignature nor nonRepudiation")
	}
	if !mayServe(c, end) {
		return wrong(c, "is for other things: its extended key usage has neither ipsecIKE nor %s", end.usage())
	}
	return nil
}

// usage is what certificates for TLS have in their extended key usage, and Windows and
// Apple ask for.
func (e End) usage() string {
	switch e {
	case Client:
		return "clientAuth"
	case Gateway:
		return "serverAuth"
	case AnyEnd:
	}
	return "clientAuth or serverAuth"
}

// mayServe reports whether the extended key usage allows an end of IKE.
func mayServe(c *x509.Certificate, end End) bool {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny:
			return true
		case x509.ExtKeyUsageClientAuth:
			if end != Gateway {
				return true
			}
		case x509.ExtKeyUsageServerAuth:
			if end != Client {
				return true
			}
		}
	}
	return slices.ContainsFunc(c.UnknownExtKeyUsage, func(o asn1.ObjectIdentifier) bool {
		return o.Equal(oidIPsecIKE) || o.Equal(oidIKEIntermediate)
	})
}

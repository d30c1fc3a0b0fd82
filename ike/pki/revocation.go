package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// CRL is a list of revoked certificates of one authority, read and not verified yet. It
// does not change.
type CRL struct {
	list    *x509.RevocationList
	revoked map[string]time.Time // when, by the bytes of the number
}

// oidDistributionPoint is that of issuingDistributionPoint, which bounds what a CRL is
// about (RFC 5280 section 5.2.5).
var oidDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}

// ParseCRL reads a CRL, PEM or DER, of any size. One that is a delta, or about a part of
// what its issuer has signed, is refused: what it does not name may be revoked elsewhere.
func ParseCRL(b []byte) (*CRL, error) {
	if len(b) == 0 || b[0] != derSequence {
		block, _ := pem.Decode(b)
		if block == nil || block.Type != "X509 CRL" {
			return nil, &Error{"the file", "has no CRL: -----BEGIN X509 CRL----- begins one in PEM"}
		}
		b = block.Bytes
	}
	list, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, &Error{"the CRL", "cannot be read: " + err.Error()}
	}
	c := &CRL{list: list, revoked: make(map[string]time.Time, len(list.RevokedCertificateEntries))}
	for _, e := range list.Extensions {
		if e.Critical && (!e.Id.Equal(oidDistributionPoint) || !isWhole(e.Value)) {
			return nil, &Error{c.name(), fmt.Sprintf("is about a part of its certificates, or changes alone: "+
				"extension %v. A whole one is needed", e.Id)}
		}
	}
	for i := range list.RevokedCertificateEntries {
		e := &list.RevokedCertificateEntries[i]
		for _, x := range e.Extensions {
			if x.Critical {
				return nil, &Error{c.name(), fmt.Sprintf("has an entry with a critical extension, %v: it may be about "+
					"certificates of others", x.Id)}
			}
		}
		c.revoked[string(e.SerialNumber.Bytes())] = e.RevocationTime
	}
	return c, nil
}

// isWhole reports whether an issuing distribution point says nothing but where the CRL
// is to be had.
func isWhole(value []byte) bool {
	s := cryptobyte.String(value)
	var all, point cryptobyte.String
	var has bool
	return s.ReadASN1(&all, cbasn1.SEQUENCE) && s.Empty() &&
		all.ReadOptionalASN1(&point, &has, cbasn1.Tag(0).ContextSpecific().Constructed()) && all.Empty()
}

// name is the CRL for an operator.
func (c *CRL) name() string {
	return fmt.Sprintf("the CRL of %q", identity.Identity{Type: wire.IDDN, Data: string(c.list.RawIssuer)})
}

// isOf reports whether the CRL says to be that of the authority ca, which may have had
// several keys.
func (c *CRL) isOf(ca *x509.Certificate) bool {
	return bytes.Equal(c.list.RawIssuer, ca.RawSubject) && (len(c.list.AuthorityKeyId) == 0 ||
		len(ca.SubjectKeyId) == 0 || bytes.Equal(c.list.AuthorityKeyId, ca.SubjectKeyId))
}

// checkTime returns why the CRL is of no use at now.
func (c *CRL) checkTime(now time.Time) error {
	switch l := c.list; {
	case now.Before(l.ThisUpdate):
		return &Error{c.name(), "is not valid before " + moment(l.ThisUpdate)}
	case !l.NextUpdate.IsZero() && now.After(l.NextUpdate):
		return &Error{c.name(), "is out of date: the next one was due on " + moment(l.NextUpdate)}
	}
	return nil
}

// checkRevoked returns why c, which ca has signed, must not be used at now.
func (t *Trust) checkRevoked(now time.Time, c, ca *x509.Certificate) error {
	if t.cfg.Revocation == RevocationOff {
		return nil
	}
	usable := false
	var unusable error = &Error{"authority " + Describe(ca), "has no CRL here, and one is required"}
	for _, l := range t.cfg.CRLs {
		if !l.isOf(ca) {
			continue
		}
		if err := l.list.CheckSignatureFrom(ca); err != nil {
			unusable = &Error{l.name(), "is not signed by its authority: " + err.Error()}
			continue
		}
		// What an old list revokes stays revoked.
		if at, ok := l.revoked[string(c.SerialNumber.Bytes())]; ok {
			return wrong(c, "was revoked on %s", moment(at))
		}
		if err := l.checkTime(now); err != nil {
			unusable = err
			continue
		}
		usable = true
	}
	if !usable && t.cfg.Revocation == RevocationHard {
		return unusable
	}
	return nil
}

package tenants

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/pki"
)

// Use is what a certificate of a context is for.
type Use uint8

// The uses.
const (
	ProvesGateway Use = iota
	VouchesForGateway
	VouchesForPeers
)

// Certificate is one certificate of a trustpoint.
type Certificate struct {
	Context, Trustpoint string
	Use                 Use
	Subject, Issuer     string // in the notation of identities
	Serial              string // hexadecimal
	NotBefore, NotAfter time.Time
}

// Certificates are those that the contexts are configured with, in the order of their
// names and then of their files. No worker is asked.
func (s *Tenants) Certificates(ctx context.Context) (out []Certificate, err error) {
	for _, t := range s.list() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.mu.Lock()
		points := t.want.Spec.Trustpoints
		t.mu.Unlock()
		for i := range points {
			if out, err = appendCertificates(out, t.name, &points[i]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// appendCertificates appends those of one trustpoint. They could be read when the
// configuration was.
func appendCertificates(out []Certificate, tenant string, p *spec.Trustpoint) ([]Certificate, error) {
	add := func(der []byte, use Use) error {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("tenants: trustpoint %s of context %s: %w", p.Name, tenant, err)
		}
		out = append(out, Certificate{Context: tenant, Trustpoint: p.Name, Use: use,
			Subject: pki.Subject(c).String(), Issuer: pki.Issuer(c).String(),
			Serial: fmt.Sprintf("%x", c.SerialNumber), NotBefore: c.NotBefore, NotAfter: c.NotAfter})
		return nil
	}
	for i, der := range p.Chain {
		use := VouchesForGateway
		if i == 0 {
			use = ProvesGateway
		}
		if err := add(der, use); err != nil {
			return out, err
		}
	}
	for _, der := range p.Authorities {
		if err := add(der, VouchesForPeers); err != nil {
			return out, err
		}
	}
	return out, nil
}

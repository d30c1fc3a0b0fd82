package worker

import (
	"crypto/x509"
	"fmt"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/pki"
	"github.com/warrenvpn/warren/internal/secret"
)

// trustpoint is a spec.Trustpoint made ready. Either part may be nil.
type trustpoint struct {
	own   *pki.Own
	trust *pki.Trust
}

// trustpointsOf reads the trustpoints of a tenant. The supervisor has read them, too: an
// error is one of the program.
func trustpointsOf(t *spec.Tenant) (map[string]trustpoint, error) {
	out := map[string]trustpoint{}
	for i := range t.Trustpoints {
		p := &t.Trustpoints[i]
		ready, err := trustpointOf(t, p)
		if err != nil {
			return nil, fmt.Errorf("worker: trustpoint %s: %w", p.Name, err)
		}
		out[p.Name] = ready
	}
	return out, nil
}

func trustpointOf(t *spec.Tenant, p *spec.Trustpoint) (out trustpoint, err error) {
	if len(p.Chain) > 0 {
		chain, err := certificates(p.Chain)
		if err != nil {
			return out, err
		}
		key, err := pki.ParseKey(t.Secret(p.Key).Reveal(), secret.Value{})
		if err != nil {
			return out, err
		}
		if out.own, err = pki.NewOwn(chain, key); err != nil {
			return out, err
		}
	}
	if len(p.Authorities) == 0 {
		return out, nil
	}
	cfg := pki.TrustConfig{Revocation: revocations[p.Revocation]}
	if cfg.Authorities, err = certificates(p.Authorities); err != nil {
		return out, err
	}
	for _, b := range p.CRLs {
		crl, err := pki.ParseCRL(b)
		if err != nil {
			return out, err
		}
		cfg.CRLs = append(cfg.CRLs, crl)
	}
	for _, text := range p.Policies {
		oid, err := pki.ParsePolicy(text)
		if err != nil {
			return out, err
		}
		cfg.Policies = append(cfg.Policies, oid)
	}
	out.trust, err = pki.NewTrust(cfg)
	return out, err
}

// revocations are the policies in the words of pki.
var revocations = map[spec.Revocation]pki.Revocation{
	spec.RevocationOff:  pki.RevocationOff,
	spec.RevocationSoft: pki.RevocationSoft,
	spec.RevocationHard: pki.RevocationHard,
}

// certificateMaps reads the rules of a tenant, as the supervisor has, too.
func certificateMaps(t *spec.Tenant) (out []exchange.CertificateMap, err error) {
	for _, m := range t.CertificateMaps {
		ready := exchange.CertificateMap{Name: m.Name, Profile: m.TunnelGroup}
		for _, text := range m.Rules {
			r, err := pki.ParseRule(text)
			if err != nil {
				return nil, fmt.Errorf("worker: certificate map %s: %w", m.Name, err)
			}
			ready.Rules = append(ready.Rules, r)
		}
		out = append(out, ready)
	}
	return out, nil
}

func certificates(ders [][]byte) (out []*x509.Certificate, err error) {
	for _, der := range ders {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

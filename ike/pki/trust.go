package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Revocation says what the CRLs of Trust decide.
type Revocation uint8

// The policies.
const (
	// RevocationOff: nobody asks.
	RevocationOff Revocation = iota
	// RevocationSoft: what a CRL revokes is refused. An authority without a CRL that can
	// be used now revokes nothing.
	RevocationSoft
	// RevocationHard: an authority without such a CRL vouches for nobody.
	RevocationHard
)

// TrustConfig is what a Trust is made of.
type TrustConfig struct {
	// Authorities are trusted as they are, self-signed or not: 1 to MaxAuthorities.
	Authorities []*x509.Certificate
	CRLs        []*CRL
	Revocation  Revocation
	// Policies are the certificate policies of which a peer's has one at least; none: any
	// certificate will do. At most MaxPolicies.
	Policies []x509.OID
}

// Trust is whom certificates of peers are verified against. It does not change.
type Trust struct {
	cfg  TrustConfig
	pool *x509.CertPool
}

// NewTrust makes a Trust.
func NewTrust(cfg TrustConfig) (*Trust, error) {
	if len(cfg.Authorities) == 0 || len(cfg.Authorities) > MaxAuthorities {
		return nil, &Error{"a trustpoint", fmt.Sprintf("has %d authorities; it needs 1 to %d",
			len(cfg.Authorities), MaxAuthorities)}
	}
	t := &Trust{cfg: cfg, pool: x509.NewCertPool()}
	for _, c := range cfg.Authorities {
		if len(c.UnhandledCriticalExtensions) > 0 {
			return nil, wrong(c, "has a critical extension that is not understood: %v",
				c.UnhandledCriticalExtensions[0])
		}
		t.pool.AddCert(c)
	}
	return t, nil
}

// Authorities returns those that are trusted. Callers do not change them.
func (t *Trust) Authorities() []*x509.Certificate { return t.cfg.Authorities }

// Verify returns why the first certificate of a peer does not prove an end of IKE at now:
// a path over the others to an authority of ours is looked for (RFC 5280 section 6), and
// what it has is looked at. The peer has chosen the certificates and their order, so that
// nothing of them is believed but what an authority has signed.
func (t *Trust) Verify(now time.Time, peer []*x509.Certificate, end End) error {
	if len(peer) == 0 || len(peer) > MaxChain {
		return &Error{"the peer", fmt.Sprintf("has sent %d certificates; 1 to %d are looked at", len(peer), MaxChain)}
	}
	leaf := peer[0]
	if err := CheckTime(leaf, now); err != nil {
		return err
	}
	if err := CheckUsage(leaf, end); err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, c := range peer[1:] {
		between.AddCert(c)
	}
	paths, err := leaf.Verify(x509.VerifyOptions{Roots: t.pool, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}) // of which CheckUsage and follow know more
	if err != nil {
		return explain(leaf, err)
	}
	for _, path := range paths {
		if err = t.follow(now, path, end); err == nil {
			return nil
		}
	}
	return err // of the last one: mostly there is one alone
}

// follow looks at what crypto/x509 does not know of a path.
func (t *Trust) follow(now time.Time, path []*x509.Certificate, end End) error {
	if err := t.checkPolicies(path); err != nil {
		return err
	}
	for i, ca := range path[1:] {
		if !mayServe(ca, end) {
			return wrong(ca, "is an authority for other things: its extended key usage has neither ipsecIKE nor %s",
				end.usage())
		}
		x, ok := directoryConstraints(ca)
		if !ok {
			return wrong(ca, "has name constraints that are not understood")
		}
		for _, below := range path[:i+1] {
			if err := x.check(ca, below); err != nil {
				return err
			}
		}
		if err := t.checkRevoked(now, path[i], ca); err != nil {
			return err
		}
	}
	return nil
}

// explain says in one line what crypto/x509 has found.
func explain(leaf *x509.Certificate, err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return wrong(leaf, "is of no authority that is trusted; its issuer is %q", Issuer(leaf))
	case !errors.As(err, &invalid):
		return wrong(leaf, "is not accepted: %v", err)
	}
	c := invalid.Cert
	switch invalid.Reason {
	case x509.Expired:
		return wrong(c, "is not valid now: it is from %s to %s", moment(c.NotBefore), moment(c.NotAfter))
	case x509.NotAuthorizedToSign:
		return wrong(c, "has signed another one and is no authority")
	case x509.TooManyIntermediates:
		return wrong(c, "does not allow so many authorities below it")
	case x509.CANotAuthorizedForThisName:
		return wrong(leaf, "has a name that its authority %s must not vouch for", Describe(c))
	}
	return wrong(c, "is not accepted: %v", err)
}

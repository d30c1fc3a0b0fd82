package pki

import (
	"crypto"
	"crypto/x509"
	"time"
)

// Own is what somebody proves itself with: a chain, and the private key of its first
// certificate. It does not change.
type Own struct {
	Chain []*x509.Certificate // the leaf first; without authorities that vouch for themselves
	Key   crypto.Signer
}

// NewOwn checks that the key is that of the first certificate, and that each certificate
// vouches for the one before it. A self-signed authority at the end is left away: whoever
// trusts it has it.
func NewOwn(chain []*x509.Certificate, key crypto.Signer) (*Own, error) {
	if len(chain) == 0 || len(chain) > MaxChain {
		return nil, &Error{"a chain", "has no certificate, or too many"}
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, &Error{"the private key", "is not that of certificate " + Describe(chain[0]) +
			", which is the first of its file"}
	}
	if err := CheckUsage(chain[0], AnyEnd); err != nil {
		return nil, err
	}
	for i, c := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(c); err != nil {
			return nil, wrong(c, "is not the issuer of %s, which it follows in the file: %v", Describe(chain[i]), err)
		}
	}
	for len(chain) > 1 && selfSigned(chain[len(chain)-1]) {
		chain = chain[:len(chain)-1]
	}
	return &Own{Chain: chain, Key: key}, nil
}

// Expiry returns when the first of the certificates ends, and which it is.
func Expiry(chain []*x509.Certificate) (time.Time, *x509.Certificate) {
	var first *x509.Certificate
	for _, c := range chain {
		if first == nil || c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	if first == nil {
		return time.Time{}, nil
	}
	return first.NotAfter, first
}

// CheckTime returns why a certificate is not valid at now.
func CheckTime(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return wrong(c, "has expired on %s", moment(c.NotAfter))
	case now.Before(c.NotBefore):
		return wrong(c, "is not valid before %s", moment(c.NotBefore))
	}
	return nil
}

// moment is an instant for an operator.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Package pki is what certificates are for in IKE (RFC 4945): chains and private keys
// are read, chains of peers are verified against the authorities that somebody trusts,
// and identities are found in certificates. X.509 itself is that of crypto/x509; beyond
// it, directory names in name constraints, the key usages of IKE, and CRLs are looked
// at here (RFC 5280). It knows no message of IKE and does no I/O; the time is an
// argument. Everything here may be called by several goroutines at once.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// The bounds of what is read, whoever has written it.
const (
	// MaxCertificate is the size of the largest certificate in bytes: ten times what
	// one with a key of 4096 bits has.
	MaxCertificate = 16 << 10
	// MaxChain bounds the certificates of one peer, and of our own chain.
	MaxChain = 8
	// MaxAuthorities bounds those that one trusts: a company has a few.
	MaxAuthorities = 64
	// MinRSA and MaxRSA are the bounds of RSA keys in bits. Shorter ones can be
	// factored, and the arithmetic of longer ones costs too much.
	MinRSA, MaxRSA = 2048, 8192
)

// Error says what is wrong with which certificate, key or CRL. Its text is one line.
type Error struct {
	What    string // `certificate "CN=gw,O=Example"`
	Problem string // "has expired on 2026-01-01 00:00:00 UTC"
}

// Error implements error.
func (e *Error) Error() string { return "pki: " + e.Line() }

// Line returns the text for an operator, without the name of the package.
func (e *Error) Line() string { return e.What + " " + e.Problem }

// wrong is an Error about a certificate.
func wrong(c *x509.Certificate, format string, args ...any) error {
	return &Error{"certificate " + Describe(c), fmt.Sprintf(format, args...)}
}

// Describe names a certificate by its subject, or else by its issuer and number. Nothing
// in it can be mistaken for more than text.
func Describe(c *x509.Certificate) string {
	if name := Subject(c).String(); name != emptySubject {
		return fmt.Sprintf("%q", name)
	}
	return fmt.Sprintf("number %x of %q", c.SerialNumber, Issuer(c))
}

// emptySubject is how an identity prints the DER of a name without parts.
const emptySubject = "asn1dn:#3000"

// Subject returns the distinguished name of the owner, as the certificate has it.
func Subject(c *x509.Certificate) identity.Identity {
	return identity.Identity{Type: wire.IDDN, Data: string(c.RawSubject)}
}

// Issuer returns the distinguished name of who vouches for it.
func Issuer(c *x509.Certificate) identity.Identity {
	return identity.Identity{Type: wire.IDDN, Data: string(c.RawIssuer)}
}

// KeyHash returns what names an authority in a CERTREQ payload: the SHA-1 hash of its
// SubjectPublicKeyInfo (RFC 7296 section 3.7).
func KeyHash(c *x509.Certificate) [sha1.Size]byte { return sha1.Sum(c.RawSubjectPublicKeyInfo) }

// pemCertificate is the label of certificates in PEM.
const pemCertificate = "CERTIFICATE"

// ParseCertificates reads one to most certificates: PEM, with text around it, or the DER
// of a single one.
func ParseCertificates(b []byte, most int) ([]*x509.Certificate, error) {
	if len(b) > 0 && b[0] == derSequence {
		c, err := ParseCertificate(b)
		if err != nil {
			return nil, err
		}
		return []*x509.Certificate{c}, nil
	}
	var out []*x509.Certificate
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != pemCertificate {
			continue
		}
		if len(out) == most {
			return nil, &Error{"the file", fmt.Sprintf("has more than %d certificates", most)}
		}
		c, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w (number %d)", err, len(out)+1)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, &Error{"the file", "has no certificate: -----BEGIN CERTIFICATE----- begins one in PEM"}
	}
	return out, nil
}

// derSequence begins a certificate, a key or a CRL in DER.
const derSequence = 0x30

// ParseCertificate reads the DER of one certificate, and refuses what cannot be used here
// whoever vouches for it: too large, or with a key of an unknown kind, or a weak one.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, &Error{"a certificate", fmt.Sprintf("has %d bytes, more than %d", len(der), MaxCertificate)}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &Error{"a certificate", "cannot be read: " + err.Error()}
	}
	if err := checkKey(c.PublicKey); err != nil {
		return nil, wrong(c, "has %s", err)
	}
	if _, ok := directoryConstraints(c); ok {
		c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions,
			func(o asn1.ObjectIdentifier) bool { return o.Equal(oidNameConstraints) })
	}
	return c, nil
}

// checkKey returns why a public key is of no use.
func checkKey(key any) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < MinRSA || n > MaxRSA {
			return fmt.Errorf("an RSA key of %d bits; %d to %d are used", n, MinRSA, MaxRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("a key on the curve %s; P-256, P-384 and P-521 are used", k.Params().Name)
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("a key of an unknown kind; RSA, ECDSA and Ed25519 are used")
}

// selfSigned reports whether the certificate names itself as its issuer.
func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

package lab

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
)

// Issued is a certificate with its chain and its key.
type Issued struct{ *pkitest.Issued }

// Root makes an authority that vouches for itself.
func Root(name string) *Issued { return &Issued{pkitest.Root(name)} }

// Authority makes an authority below i.
func (i *Issued) Authority(name string) *Issued { return &Issued{i.Issued.Authority(name)} }

// Leaf makes the certificate of somebody, changed by change.
func (i *Issued) Leaf(name string, key crypto.Signer, change ...func(*x509.Certificate)) *Issued {
	return &Issued{i.Issued.Leaf(name, key, change...)}
}

// CertPEM is the certificate without its chain, as a file.
func (i *Issued) CertPEM() []byte { return certPEM(i.Chain[0]) }

// StrongSwan is the certificate as a daemon has it, called name: without the root.
func (i *Issued) StrongSwan(name string) StrongSwanCert {
	c := StrongSwanCert{Name: name, Key: i.KeyPEM()}
	for _, x := range i.Chain[:len(i.Chain)-1] {
		c.Chain = append(c.Chain, certPEM(x))
	}
	return c
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// ECDSAKey makes a key on P-256.
func ECDSAKey() crypto.Signer { return pkitest.ECDSA() }

// RSAKey returns a key of so many bits.
func RSAKey(bits int) crypto.Signer { return pkitest.RSA(bits) }

// Ed25519Key makes such a key.
func Ed25519Key() crypto.Signer { return pkitest.Ed25519() }

// CurveKey makes an ECDSA key on another curve: elliptic.P384().
func CurveKey(c elliptic.Curve) crypto.Signer { return pkitest.OnCurve(c) }

// Package pkitest makes authorities, certificates and CRLs for tests. Whatever goes wrong
// is a panic.
package pkitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"sync/atomic"
	"time"
)

// The certificates are valid from Begin to End where nothing else is said.
var (
	Begin = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	End   = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
)

// serial is the number of the last certificate.
var serial atomic.Int64

// Issued is a chain, the leaf first and the root last, and the key of the leaf.
type Issued struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// Root makes an authority that vouches for itself.
func Root(name string, change ...func(*x509.Certificate)) *Issued {
	return issue(nil, ECDSA(), authority(name), change)
}

// Authority makes an authority below i.
func (i *Issued) Authority(name string, change ...func(*x509.Certificate)) *Issued {
	return issue(i, ECDSA(), authority(name), change)
}

// Leaf makes the certificate of somebody, for a key.
func (i *Issued) Leaf(name string, key crypto.Signer, change ...func(*x509.Certificate)) *Issued {
	return issue(i, key, &x509.Certificate{Subject: subject(name), KeyUsage: x509.KeyUsageDigitalSignature}, change)
}

// subject is a name in an organisation.
func subject(name string) pkix.Name {
	return pkix.Name{CommonName: name, Organization: []string{"Example"}}
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{Subject: subject(name), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
}

func issue(by *Issued, key crypto.Signer, c *x509.Certificate, change []func(*x509.Certificate)) *Issued {
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(serial.Add(1)), Begin, End
	for _, f := range change {
		f(c)
	}
	parent, signer, rest := c, key, []*x509.Certificate(nil)
	if by != nil {
		parent, signer, rest = by.Chain[0], by.Key, by.Chain
	}
	der := must(x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer))
	return &Issued{append([]*x509.Certificate{must(x509.ParseCertificate(der))}, rest...), key}
}

// CRL makes the list of what i has revoked, in DER, valid from Begin to until.
func (i *Issued) CRL(until time.Time, revoked ...*Issued) []byte {
	list := &x509.RevocationList{Number: big.NewInt(serial.Add(1)), ThisUpdate: Begin, NextUpdate: until}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.Chain[0].SerialNumber, RevocationTime: Begin})
	}
	return must(x509.CreateRevocationList(rand.Reader, list, i.Chain[0], i.Key))
}

// DER is the chain.
func (i *Issued) DER() (out [][]byte) {
	for _, c := range i.Chain {
		out = append(out, c.Raw)
	}
	return out
}

// PEM is the chain as a file.
func (i *Issued) PEM() (out []byte) {
	for _, c := range i.Chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// KeyDER is the key in PKCS #8, and KeyPEM as a file.
func (i *Issued) KeyDER() []byte { return must(x509.MarshalPKCS8PrivateKey(i.Key)) }

// KeyPEM is the key as a file.
func (i *Issued) KeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: i.KeyDER()})
}

// ECDSA makes a key on P-256.
func ECDSA() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// OnCurve makes a key on another curve.
func OnCurve(c elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(c, rand.Reader)) }

// RSA returns a key of so many bits, always the same in one process: a new one takes time.
func RSA(bits int) crypto.Signer {
	keys.Lock()
	defer keys.Unlock()
	if keys.rsa[bits] == nil {
		keys.rsa[bits] = must(rsa.GenerateKey(rand.Reader, bits))
	}
	return keys.rsa[bits]
}

// keys are those that were made.
var keys = struct {
	sync.Mutex
	rsa map[int]crypto.Signer
}{rsa: map[int]crypto.Signer{}}

// Ed25519 makes such a key.
func Ed25519() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("pkitest: " + err.Error())
	}
	return v
}

package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"

	"time"

	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// CA is an authority that signs certificates for gateways and clients, and for nobody
// else: none that it signs is an authority.
type CA struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// NewCA makes an authority called name, which vouches for itself.
func NewCA(rand io.Reader, name string, key crypto.Signer, from, until time.Time) (*CA, error) {
	if name == "" {
		return nil, &Error{"an authority", "needs a name"}
	}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	made, err := (&CA{c, key}).sign(rand, c, key.Public(), from, until)
	if err != nil {
		return nil, err
	}
	return &CA{made, key}, nil
}

// ParseCA reads an authority: its certificate and its key, as files have them.
func ParseCA(certificate, key []byte) (*CA, error) {
	list, err := ParseCertificates(certificate, 1)
	if err != nil {
		return nil, err
	}
	c := list[0]
	signer, err := ParseKey(key, secret.Value{})
	if err != nil {
		return nil, err
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(c.PublicKey) {
		return nil, &Error{"the private key", "is not that of certificate " + Describe(c)}
	}
	if !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, wrong(c, "is no authority")
	}
	return &CA{c, signer}, nil
}

// Issue makes the certificate of a gateway or a client. The first of its names is its
// common name, too. Each of them is a domain, an address or a mail address, in the notation
// of identities. A gateway gets the extended key usage serverAuth, which Windows and Apple
// ask for, a client clientAuth; ipsecIKE would do for either end, and for the other one, too.
func (i *CA) Issue(rand io.Reader, key crypto.PublicKey, end End, names []string, from, until time.Time) (
	*x509.Certificate, error) {
	c := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{
		x509.ExtKeyUsageClientAuth}}
	if end == Gateway {
		c.ExtKeyUsage[0] = x509.ExtKeyUsageServerAuth
	}
	if len(names) == 0 {
		return nil, &Error{"a certificate", "needs a name"}
	}
	c.Subject = pkix.Name{CommonName: names[0], Organization: i.Certificate.Subject.Organization}
	for _, name := range names {
		id, err := identity.Parse(name)
		if err != nil {
			return nil, &Error{"the name", "cannot be used: " + err.Error()}
		}
		switch id.Type {
		case wire.IDFQDN:
			c.DNSNames = append(c.DNSNames, id.Data)
		case wire.IDRFC822:
			c.EmailAddresses = append(c.EmailAddresses, id.Data)
		case wire.IDIPv4, wire.IDIPv6:
			c.IPAddresses = append(c.IPAddresses, []byte(id.Data))
		default:
			return nil, &Error{"the name " + id.String(), "is no domain, address or mail address"}
		}
	}
	return i.sign(rand, c, key, from, until)
}

// Renew makes a certificate like one of this authority's, for the same key, that is valid
// from and until another time.
func (i *CA) Renew(rand io.Reader, old *x509.Certificate, from, until time.Time) (*x509.Certificate, error) {
	if err := old.CheckSignatureFrom(i.Certificate); err != nil || old.IsCA {
		return nil, wrong(old, "is none that %s has signed for somebody", Describe(i.Certificate))
	}
	c := *old
	c.ExtraExtensions = nil
	return i.sign(rand, &c, old.PublicKey, from, until)
}

// sign signs c, which is not used any more, and reads what has come of it as peers will.
func (i *CA) sign(rand io.Reader, c *x509.Certificate, key crypto.PublicKey, from, until time.Time) (
	*x509.Certificate, error) {
	if !until.After(from) || until.After(i.Certificate.NotAfter) && !c.IsCA {
		return nil, &Error{"a certificate", "would end on " + moment(until) + ", and its authority " +
			Describe(i.Certificate) + " on " + moment(i.Certificate.NotAfter)}
	}
	serial := make([]byte, 16)
	if _, err := io.ReadFull(rand, serial); err != nil {
		return nil, &Error{"a certificate", "has got no number: " + err.Error()}
	}
	serial[0] = serial[0]&0x7f | 0x40 // positive, and always of one length
	c.SerialNumber = new(big.Int).SetBytes(serial)
	c.NotBefore, c.NotAfter = from.UTC(), until.UTC()
	c.SignatureAlgorithm = x509.UnknownSignatureAlgorithm // that of the key
	der, err := x509.CreateCertificate(rand, c, i.Certificate, key, i.key)
	if err != nil {
		return nil, &Error{"a certificate", "cannot be made: " + err.Error()}
	}
	return ParseCertificate(der)
}

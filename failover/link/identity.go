package link

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// identity is one use of the key: who is at the ends of a connection, and what
// they speak there.
type identity struct {
	label string // sets the key pairs of one use apart from those of others
	// protocol is negotiated with ALPN: a peer of another version is refused in
	// the handshake.
	protocol string
}

// twinIdentity is who the workers of a context are to each other.
var twinIdentity = identity{label: "warren replication identity 1 ", protocol: "warren-replication/1"}

// ErrIdentity says that the peer's certificate is not the one that follows from
// our key: it has another failover key, is another context, or another unit.
var ErrIdentity = errors.New("link: peer has another failover key, context or unit")

// privateKey derives the key pair of one unit from the common key. The
// standard library has no external pre-shared keys in TLS 1.3; certificates
// that only holders of the key can make serve the same end, and the exchange
// stays forward secret.
func (i identity) privateKey(key secret.Value, u failover.Unit) ed25519.PrivateKey {
	seed, err := hkdf.Key(sha256.New, key.Reveal(), nil, i.label+u.String(), ed25519.SeedSize)
	if err != nil {
		panic("link: internal error: " + err.Error())
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed)
}

// certificate wraps the key pair. Only its public key counts, for ever.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "warren"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 section 4.1.2.5
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("link: making certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// config returns the TLS configuration of a unit.
func (i identity) config(key secret.Value, unit failover.Unit) (*tls.Config, error) {
	peer := failover.UnitPrimary
	if unit == failover.UnitPrimary {
		peer = failover.UnitSecondary
	}
	cert, err := certificate(i.privateKey(key, unit))
	if err != nil {
		return nil, err
	}
	theirs := i.privateKey(key, peer).Public().(ed25519.PublicKey)
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAnyClientCert,
		NextProtos:             []string{i.protocol},
		SessionTicketsDisabled: true,
		// The chain proves nothing here, the public key everything: see pin.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return i.pin(s, theirs) },
	}, nil
}

// pin accepts exactly one public key.
func (i identity) pin(s tls.ConnectionState, want ed25519.PublicKey) error {
	if s.NegotiatedProtocol != i.protocol {
		return fmt.Errorf("link: peer speaks %q, this is %q", s.NegotiatedProtocol, i.protocol)
	}
	if len(s.PeerCertificates) != 1 {
		return ErrIdentity
	}
	got, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || !want.Equal(got) {
		return ErrIdentity
	}
	return nil
}

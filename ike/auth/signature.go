package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"   // crypto.SHA1
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384, crypto.SHA512
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/warrenvpn/warren/ike/wire"
)

// Signatures in AUTH payloads have three forms: RSA with PKCS #1 v1.5 and a hash that
// nothing names (method 1, RFC 7296 section 3.8), which with all peers that are in use is
// SHA-1; ECDSA, one method for each curve with its hash (RFC 4754); and the one that names
// its algorithm (method 14, RFC 7427), for peers that have said which hashes they
// understand. Sign and VerifySignature may be called by several goroutines at once.

// scheme is a signature algorithm.
type scheme uint8

const (
	pkcs1 scheme = iota + 1 // RSASSA-PKCS1-v1_5
	pss                     // RSASSA-PSS, the salt as long as the hash
	ecdsaDER
	ed25519Pure
)

// algorithm is what method 14 names a signature with.
type algorithm struct {
	oid    asn1.ObjectIdentifier
	scheme scheme
	hash   crypto.Hash // 0: there is none, or with pss the parameters name it
	flag   Hashes      // that a peer must understand
}

var oidPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}

// algorithms are those that are accepted; for each kind of key the first one whose hash
// the peer understands is sent. RSA is sent with PKCS #1, which all peers verify; Android
// has no PSS.
var algorithms = []algorithm{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, pkcs1, crypto.SHA256, SHA2256},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, pkcs1, crypto.SHA384, SHA2384},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, pkcs1, crypto.SHA512, SHA2512},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, ecdsaDER, crypto.SHA256, SHA2256},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, ecdsaDER, crypto.SHA384, SHA2384},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, ecdsaDER, crypto.SHA512, SHA2512},
	{asn1.ObjectIdentifier{1, 3, 101, 112}, ed25519Pure, 0, Identity},
}

// pssHashes are the hashes that the parameters of RSASSA-PSS may name.
var pssHashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

var oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}

// curve is what ECDSA has on a curve: the method of RFC 4754, and the hash that belongs
// to it.
type curve struct {
	method wire.AuthMethod
	hash   crypto.Hash
	size   int // of each half of a signature, in bytes
}

var curves = map[elliptic.Curve]curve{
	elliptic.P256(): {wire.AuthECDSA256, crypto.SHA256, 32},
	elliptic.P384(): {wire.AuthECDSA384, crypto.SHA384, 48},
	elliptic.P521(): {wire.AuthECDSA521, crypto.SHA512, 66},
}

// ErrNoHash is why there is no signature for a peer that knows none of our hashes.
var ErrNoHash = errors.New("auth: the peer understands no hash for signatures with this key but SHA-1, if that")

// Sign makes the AUTH payload for octets with a key for a peer that understands hashes.
// With sha1, one that knows nothing of RFC 7427 gets an RSA signature with SHA-1.
// Randomness of ECDSA is that of crypto/rand.
func Sign(key crypto.Signer, hashes Hashes, sha1 bool, octets []byte) (wire.Auth, error) {
	if hashes == 0 {
		return signOld(key, sha1, octets)
	}
	a, ok := chooseAlgorithm(key.Public(), hashes)
	if !ok {
		return wire.Auth{}, ErrNoHash
	}
	sig, err := key.Sign(rand.Reader, digest(a.hash, octets), a.hash)
	if err != nil {
		return wire.Auth{}, fmt.Errorf("auth: signing: %w", err)
	}
	id := a.appendTo(nil)
	data := append(append([]byte{byte(len(id))}, id...), sig...)
	return wire.Auth{Method: wire.AuthSignature, Data: data}, nil
}

// chooseAlgorithm returns what a key signs with. For ECDSA the hash of its curve goes
// first, as peers expect that also know RFC 4754 alone.
func chooseAlgorithm(key crypto.PublicKey, hashes Hashes) (best algorithm, ok bool) {
	for _, a := range algorithms {
		if hashes&a.flag == 0 || !a.scheme.fits(key) {
			continue
		}
		if k, isECDSA := key.(*ecdsa.PublicKey); isECDSA && curves[k.Curve].hash == a.hash {
			return a, true
		}
		if !ok {
			best, ok = a, true
		}
	}
	return best, ok
}

// fits reports whether a key of this kind makes signatures of the scheme.
func (s scheme) fits(key crypto.PublicKey) bool {
	switch key.(type) {
	case *rsa.PublicKey:
		return s == pkcs1 || s == pss
	case *ecdsa.PublicKey:
		return s == ecdsaDER
	case ed25519.PublicKey:
		return s == ed25519Pure
	}
	return false
}

// digest returns the hash of octets, or the octets themselves.
func digest(h crypto.Hash, octets []byte) []byte {
	if h == 0 {
		return octets
	}
	d := h.New()
	d.Write(octets)
	return d.Sum(nil)
}

// appendTo appends the AlgorithmIdentifier (RFC 7427 appendix A). That of RSA has a NULL
// where parameters would be, the others have nothing.
func (a *algorithm) appendTo(b []byte) []byte {
	out := cryptobyte.NewBuilder(b)
	out.AddASN1(cbasn1.SEQUENCE, func(out *cryptobyte.Builder) {
		out.AddASN1ObjectIdentifier(a.oid)
		if a.scheme == pkcs1 {
			out.AddASN1NULL()
		}
	})
	return out.BytesOrPanic()
}

// signOld is Sign for a peer that knows nothing of RFC 7427.
func signOld(key crypto.Signer, sha1 bool, octets []byte) (wire.Auth, error) {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		if !sha1 {
			return wire.Auth{}, ErrNoHash
		}
		sig, err := key.Sign(rand.Reader, digest(crypto.SHA1, octets), crypto.SHA1)
		if err != nil {
			return wire.Auth{}, fmt.Errorf("auth: signing: %w", err)
		}
		return wire.Auth{Method: wire.AuthRSA, Data: sig}, nil
	case *ecdsa.PublicKey:
		c := curves[k.Curve]
		sig, err := key.Sign(rand.Reader, digest(c.hash, octets), c.hash)
		if err != nil {
			return wire.Auth{}, fmt.Errorf("auth: signing: %w", err)
		}
		data, err := c.raw(sig)
		return wire.Auth{Method: c.method, Data: data}, err
	}
	return wire.Auth{}, ErrNoHash
}

// raw returns both halves of an ECDSA signature in DER, one behind the other (RFC 4754
// section 3).
func (c *curve) raw(der []byte) ([]byte, error) {
	s := cryptobyte.String(der)
	var halves cryptobyte.String
	var x, y big.Int
	if !s.ReadASN1(&halves, cbasn1.SEQUENCE) || !halves.ReadASN1Integer(&x) || !halves.ReadASN1Integer(&y) {
		return nil, errors.New("auth: the key has made no ECDSA signature")
	}
	out := make([]byte, 2*c.size)
	x.FillBytes(out[:c.size])
	y.FillBytes(out[c.size:])
	return out, nil
}

// der is the other way round. Halves are of the size of the curve.
func (c *curve) der(raw []byte) ([]byte, bool) {
	if len(raw) != 2*c.size {
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:c.size]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[c.size:]))
	})
	return b.BytesOrPanic(), true
}

// VerifySignature returns why an AUTH payload is not a signature of the octets with the
// key; every error wraps ErrFailed. With sha1, RSA signatures with SHA-1 are accepted.
func VerifySignature(key crypto.PublicKey, sha1 bool, octets []byte, proof wire.Auth) error {
	switch proof.Method {
	case wire.AuthRSA:
		if !sha1 {
			return failed(`the peer signs with SHA-1, which rsa_sig_hash = "sha1" would allow`)
		}
		return verify(key, algorithm{scheme: pkcs1, hash: crypto.SHA1}, octets, proof.Data)
	case wire.AuthECDSA256, wire.AuthECDSA384, wire.AuthECDSA521:
		k, ok := key.(*ecdsa.PublicKey)
		if !ok || curves[k.Curve].method != proof.Method {
			return failed("the key of the certificate makes no signature of method %v", proof.Method)
		}
		c := curves[k.Curve]
		sig, ok := c.der(proof.Data)
		if !ok {
			return failed("the signature has a wrong length")
		}
		return verify(key, algorithm{scheme: ecdsaDER, hash: c.hash}, octets, sig)
	case wire.AuthSignature:
		a, sig, ok := splitSignature(proof.Data)
		if !ok {
			return failed("the signature is of an algorithm that is not accepted")
		}
		return verify(key, a, octets, sig)
	}
	return failed("authentication method %v is not accepted", proof.Method)
}

// verify checks one signature.
func verify(key crypto.PublicKey, a algorithm, octets, sig []byte) error {
	if !a.scheme.fits(key) {
		return failed("the signature is not of the kind of the certificate's key")
	}
	ok, sum := false, digest(a.hash, octets)
	switch k := key.(type) {
	case *rsa.PublicKey:
		if a.scheme == pss {
			opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			ok = rsa.VerifyPSS(k, a.hash, sum, sig, opts) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(k, a.hash, sum, sig) == nil
		}
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, sum, sig)
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, sum, sig)
	}
	if !ok {
		return failed("the signature is not that of the certificate's key")
	}
	return nil
}

// splitSignature reads the authentication data of method 14 (RFC 7427 section 3).
func splitSignature(b []byte) (a algorithm, sig []byte, ok bool) {
	s := cryptobyte.String(b)
	var identifier, all, parameters cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !s.ReadUint8LengthPrefixed(&identifier) || !identifier.ReadASN1(&all, cbasn1.SEQUENCE) ||
		!identifier.Empty() || !all.ReadASN1ObjectIdentifier(&oid) {
		return algorithm{}, nil, false
	}
	parameters = all
	if oid.Equal(oidPSS) {
		h, ok := pssHash(parameters)
		return algorithm{oid: oid, scheme: pss, hash: h}, s, ok
	}
	for _, a := range algorithms {
		if a.oid.Equal(oid) {
			return a, s, isNull(parameters)
		}
	}
	return algorithm{}, nil, false
}

// isNull reports whether parameters are absent or NULL: peers differ.
func isNull(s cryptobyte.String) bool { return s.Empty() || bytes.Equal(s, []byte{5, 0}) }

// pssHash reads the parameters of RSASSA-PSS (RFC 8017 appendix A.2.3): one hash for all,
// and a salt of its length. The defaults are SHA-1 and not accepted.
func pssHash(s cryptobyte.String) (crypto.Hash, bool) {
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	var all, hash, mask, maskAll, salt, trailer cryptobyte.String
	var mgf asn1.ObjectIdentifier
	var hasTrailer bool
	length, trailerNumber := 0, 1
	if !s.ReadASN1(&all, cbasn1.SEQUENCE) || !s.Empty() || !all.ReadASN1(&hash, tag(0)) ||
		!all.ReadASN1(&mask, tag(1)) || !all.ReadASN1(&salt, tag(2)) ||
		!all.ReadOptionalASN1(&trailer, &hasTrailer, tag(3)) || !all.Empty() ||
		!mask.ReadASN1(&maskAll, cbasn1.SEQUENCE) || !mask.Empty() || !maskAll.ReadASN1ObjectIdentifier(&mgf) ||
		!salt.ReadASN1Integer(&length) || !salt.Empty() ||
		hasTrailer && (!trailer.ReadASN1Integer(&trailerNumber) || !trailer.Empty()) {
		return 0, false
	}
	h, ok := hashIdentifier(hash)
	of, same := hashIdentifier(maskAll)
	return h, ok && same && of == h && mgf.Equal(oidMGF1) && length == h.Size() && trailerNumber == 1
}

// hashIdentifier reads the AlgorithmIdentifier of a hash.
func hashIdentifier(s cryptobyte.String) (crypto.Hash, bool) {
	var all cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1(&all, cbasn1.SEQUENCE) || !s.Empty() || !all.ReadASN1ObjectIdentifier(&oid) || !isNull(all) {
		return 0, false
	}
	for _, p := range pssHashes {
		if p.oid.Equal(oid) {
			return p.hash, true
		}
	}
	return 0, false
}

package pki

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/warrenvpn/warren/internal/secret"
)

// MaxPKCS12 is the size of the largest PKCS #12 file in bytes.
const MaxPKCS12 = MaxKey + 2*MaxChain*MaxCertificate

// maxBags bounds what is in one file, and in how many parts: a chain has MaxChain
// certificates, and there may be others that vouch for nobody here.
const maxBags = 64

// The types of PKCS #12 (RFC 7292 appendix D) and of PKCS #7 below it.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}

	oidKeyBag         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKeyBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}

	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	// The hashes of what proves that a file is whole.
	macHashes = map[string]func() hash.Hash{
		"1.3.14.3.2.26":          sha1.New,
		"2.16.840.1.101.3.4.2.1": sha256.New,
		"2.16.840.1.101.3.4.2.2": sha512.New384,
		"2.16.840.1.101.3.4.2.3": sha512.New,
	}

	explicit0 = cbasn1.Tag(0).ContextSpecific().Constructed()
)

// ParsePKCS12 reads a PKCS #12 file (RFC 7292; PBMAC1 of RFC 9579): the one key in it, and
// the chain of its certificate, which is looked for among the certificates of the file,
// whatever their order. Certificates that are not of the chain are passed over. No error
// has a part of the key or the password in it.
func ParsePKCS12(b []byte, password secret.Value) (chain []*x509.Certificate, key crypto.Signer, err error) {
	p := pkcs12{passwordReader: passwordReader{"the PKCS #12 file", password, maxFileRounds}}
	if len(b) > MaxPKCS12 {
		return nil, nil, p.problem("has %d bytes, more than %d", len(b), MaxPKCS12)
	}
	if err := p.read(b); err != nil {
		return nil, nil, err
	}
	if p.key == nil {
		return nil, nil, p.problem("has no private key")
	}
	if chain = p.chain(); chain == nil {
		return nil, nil, p.problem("has no certificate of its private key")
	}
	return chain, p.key, nil
}

// pkcs12 is what was found in a file so far.
type pkcs12 struct {
	passwordReader
	key   crypto.Signer
	certs []*x509.Certificate
	bags  int
}

// damaged is an error about the form of the file.
func (p *pkcs12) damaged() error { return p.problem("cannot be read: it is damaged, or no PKCS #12") }

// read reads PFX, the whole file.
func (p *pkcs12) read(b []byte) error {
	if len(b) > 1 && b[0] == derSequence && b[1] == 0x80 {
		return p.problem("is in BER: have OpenSSL write it anew in DER, with `openssl pkcs12 -in FILE -out both.pem` " +
			"and `openssl pkcs12 -export -in both.pem -out FILE`")
	}
	s := cryptobyte.String(b)
	var pfx, mac cryptobyte.String
	var version int
	if !s.ReadASN1(&pfx, cbasn1.SEQUENCE) || !s.Empty() || !pfx.ReadASN1Integer(&version) || version != 3 {
		return p.damaged()
	}
	kind, content, ok := readContent(&pfx)
	if !ok {
		return p.damaged()
	}
	var safe cryptobyte.String
	if !kind.Equal(oidData) || !content.ReadASN1(&safe, cbasn1.OCTET_STRING) || !content.Empty() {
		return p.problem("is signed instead of protected by a password, which is not read")
	}
	if pfx.Empty() {
		return p.problem("has nothing that proves with its password that it is whole (MAC): export it with one")
	}
	if !pfx.ReadASN1(&mac, cbasn1.SEQUENCE) || !pfx.Empty() {
		return p.damaged()
	}
	if err := p.verify(mac, safe); err != nil {
		return err
	}
	var parts cryptobyte.String
	if !safe.ReadASN1(&parts, cbasn1.SEQUENCE) || !safe.Empty() {
		return p.damaged()
	}
	for !parts.Empty() {
		if err := p.count(); err != nil {
			return err
		}
		if err := p.readPart(&parts); err != nil {
			return err
		}
	}
	return nil
}

// count counts a part, or a bag.
func (p *pkcs12) count() error {
	if p.bags++; p.bags > maxBags {
		return p.problem("has more than %d parts", maxBags)
	}
	return nil
}

// readContent reads ContentInfo, and SafeBag as far as it is the same.
func readContent(s *cryptobyte.String) (kind asn1.ObjectIdentifier, content cryptobyte.String, ok bool) {
	var info cryptobyte.String
	ok = s.ReadASN1(&info, cbasn1.SEQUENCE) && info.ReadASN1ObjectIdentifier(&kind) &&
		info.ReadASN1(&content, explicit0) && (info.Empty() || info.SkipASN1(cbasn1.SET) && info.Empty())
	return kind, content, ok
}

// verify checks the MAC of the file, before anything else in it is believed.
func (p *pkcs12) verify(mac, content cryptobyte.String) error {
	var digestInfo, salt cryptobyte.String
	var digest []byte
	var params pbeParams
	if !mac.ReadASN1(&digestInfo, cbasn1.SEQUENCE) || !mac.ReadASN1(&salt, cbasn1.OCTET_STRING) ||
		!mac.Empty() && !mac.ReadASN1Integer(&params.Iterations) || !mac.Empty() {
		return p.damaged()
	}
	params.Salt, params.Iterations = salt, max(params.Iterations, 1)
	a, ok := readAlgorithm(&digestInfo)
	if !ok || !digestInfo.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) || !digestInfo.Empty() {
		return p.damaged()
	}
	newHash, key, err := p.macKey(a, params)
	if err != nil {
		return err
	}
	defer clear(key)
	h := hmac.New(newHash, key)
	h.Write(content)
	if !hmac.Equal(h.Sum(nil), digest) {
		return p.problem("cannot be read: the password is wrong, or the file is damaged")
	}
	return nil
}

// macKey returns the hash and the key of the MAC.
func (p *pkcs12) macKey(a pkix.AlgorithmIdentifier, params pbeParams) (func() hash.Hash, []byte, error) {
	if a.Algorithm.Equal(oidPBMAC1) {
		var scheme pbes2
		if !unmarshal(a.Parameters.FullBytes, &scheme) {
			return nil, nil, p.damaged()
		}
		newHash := pbkdf2Hashes[scheme.Scheme.Algorithm.String()]
		if newHash == nil {
			return nil, nil, p.problem("is proven whole with an unknown hash, %v", scheme.Scheme.Algorithm)
		}
		key, err := p.pbkdf2(scheme.KDF, 0)
		return newHash, key, err
	}
	newHash := macHashes[a.Algorithm.String()]
	if newHash == nil {
		return nil, nil, p.problem("is proven whole with an unknown hash, %v", a.Algorithm)
	}
	key, err := p.derive(newHash, params, pbeMAC, newHash().Size())
	return newHash, key, err
}

// readAlgorithm reads an AlgorithmIdentifier.
func readAlgorithm(s *cryptobyte.String) (a pkix.AlgorithmIdentifier, ok bool) {
	var der cryptobyte.String
	return a, s.ReadASN1Element(&der, cbasn1.SEQUENCE) && unmarshal(der, &a)
}

// readPart reads a part of the file, which may be encrypted.
func (p *pkcs12) readPart(s *cryptobyte.String) error {
	kind, content, ok := readContent(s)
	if !ok {
		return p.damaged()
	}
	switch {
	case kind.Equal(oidData):
		var plain cryptobyte.String
		if !content.ReadASN1(&plain, cbasn1.OCTET_STRING) || !content.Empty() {
			return p.damaged()
		}
		return p.readBags(plain)
	case !kind.Equal(oidEncryptedData):
		return p.problem("has a part for the owner of another key, which cannot be read")
	}
	var data, info, sealed cryptobyte.String
	var version int
	var inner asn1.ObjectIdentifier
	if !content.ReadASN1(&data, cbasn1.SEQUENCE) || !content.Empty() || !data.ReadASN1Integer(&version) ||
		!data.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&inner) || !inner.Equal(oidData) {
		return p.damaged()
	}
	a, ok := readAlgorithm(&info)
	if !ok || !info.ReadASN1(&sealed, cbasn1.Tag(0).ContextSpecific()) || !info.Empty() {
		return p.damaged()
	}
	plain, err := p.decrypt(a, sealed)
	if err != nil {
		return err
	}
	defer clear(plain)
	return p.readBags(plain)
}

// readBags reads SafeContents.
func (p *pkcs12) readBags(b []byte) error {
	s := cryptobyte.String(b)
	var bags cryptobyte.String
	if !s.ReadASN1(&bags, cbasn1.SEQUENCE) || !s.Empty() {
		return p.damaged()
	}
	for !bags.Empty() {
		if err := p.count(); err != nil {
			return err
		}
		kind, content, ok := readContent(&bags)
		if !ok {
			return p.damaged()
		}
		if err := p.readBag(kind, content); err != nil {
			return err
		}
	}
	return nil
}

// readBag reads a key or a certificate. Bags of other kinds are passed over.
func (p *pkcs12) readBag(kind asn1.ObjectIdentifier, content cryptobyte.String) error {
	switch {
	case kind.Equal(oidCertBag):
		var bag, value, der cryptobyte.String
		var form asn1.ObjectIdentifier
		if !content.ReadASN1(&bag, cbasn1.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&form) ||
			!bag.ReadASN1(&value, explicit0) {
			return p.damaged()
		}
		if !form.Equal(oidX509) {
			return nil
		}
		if !value.ReadASN1(&der, cbasn1.OCTET_STRING) {
			return p.damaged()
		}
		c, err := ParseCertificate(bytes.Clone(der))
		if err != nil {
			return err
		}
		p.certs = append(p.certs, c)
		return nil
	case kind.Equal(oidKeyBag):
		return p.addKey(content)
	case kind.Equal(oidShroudedKeyBag):
		var e encryptedKey
		if !unmarshal(content, &e) {
			return p.damaged()
		}
		plain, err := p.decrypt(e.Algorithm, e.Data)
		if err != nil {
			return err
		}
		defer clear(plain)
		return p.addKey(plain)
	}
	return nil
}

// addKey takes the key, in PKCS #8.
func (p *pkcs12) addKey(der []byte) (err error) {
	if p.key != nil {
		return p.problem("has more than one private key: export the one that is meant alone")
	}
	if len(der) > MaxKey {
		return keyNotRead("has %d bytes, more than %d", len(der), MaxKey)
	}
	p.key, err = parsePlain(der)
	return err
}

// chain returns the certificate of the key, the one that is valid longest, and behind each
// its issuer, as far as the file has them; nil: the key has none.
func (p *pkcs12) chain() []*x509.Certificate {
	var out []*x509.Certificate
	public, _ := p.key.Public().(interface{ Equal(crypto.PublicKey) bool })
	for _, c := range p.certs {
		if public.Equal(c.PublicKey) && (out == nil || c.NotAfter.After(out[0].NotAfter)) {
			out = []*x509.Certificate{c}
		}
	}
	for len(out) > 0 && len(out) < MaxChain && !selfSigned(out[len(out)-1]) {
		issuer := p.issuer(out[len(out)-1])
		if issuer == nil {
			break
		}
		out = append(out, issuer)
	}
	return out
}

// issuer returns who has signed c, or else who says to be its issuer; nil: nobody.
func (p *pkcs12) issuer(c *x509.Certificate) (named *x509.Certificate) {
	for _, o := range p.certs {
		if o == c || !bytes.Equal(o.RawSubject, c.RawIssuer) {
			continue
		}
		if c.CheckSignatureFrom(o) == nil {
			return o
		}
		named = o
	}
	return named
}

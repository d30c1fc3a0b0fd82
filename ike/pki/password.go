package pki

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"

	"github.com/warrenvpn/warren/internal/secret"
)

// What is encrypted with a password says itself how often the password is hashed. Two
// bounds keep a file from having us do that for hours.
const (
	// maxRounds is how often it is hashed for one key: more than anybody asks for, and
	// half a second.
	maxRounds = 1_000_000
	// maxFileRounds bounds those of all keys of one PKCS #12 file.
	maxFileRounds = 2 * maxRounds
)

// Algorithms that make keys of passwords and encrypt with them: PBES2 with PBKDF2 and
// AES-CBC (RFC 8018 appendix A and B), and those of RFC 7292 appendix C that were the
// default of OpenSSL and Windows for 20 years.
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	oidSHA1And3DES  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidSHA1AndRC2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}
	oidSHA1AndRC240 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}

	// The hashes that passwords go through, by the identifiers of their HMAC.
	pbkdf2Hashes = map[string]func() hash.Hash{
		"1.2.840.113549.2.7":  sha1.New,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
	// The lengths of the keys of AES-CBC.
	aesKeys = map[string]int{
		"2.16.840.1.101.3.4.1.2":  16,
		"2.16.840.1.101.3.4.1.22": 24,
		"2.16.840.1.101.3.4.1.42": 32,
	}
)

// pbes2 are the parameters of PBES2, and of PBMAC1.
type pbes2 struct {
	KDF    pkix.AlgorithmIdentifier
	Scheme pkix.AlgorithmIdentifier
}

// pbkdf2Params are those of PBKDF2 with a salt of its own.
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// pbeParams are those of RFC 7292 appendix C.
type pbeParams struct {
	Salt       []byte
	Iterations int
}

// unmarshal reads exactly one value.
func unmarshal(b []byte, v any) bool {
	rest, err := asn1.Unmarshal(b, v)
	return err == nil && len(rest) == 0
}

// passwordReader reads what is encrypted with one password.
type passwordReader struct {
	what     string // for an operator: "the private key"
	password secret.Value
	rounds   int // that the password may still be hashed
}

// problem is an Error about what is read.
func (r *passwordReader) problem(format string, args ...any) error {
	return &Error{r.what, fmt.Sprintf(format, args...)}
}

// spend counts n rounds for a key that is made in so many blocks.
func (r *passwordReader) spend(n, blocks int) error {
	if n < 1 || n > maxRounds {
		return r.problem("has its password hashed %d times; 1 to %d times are done", n, maxRounds)
	}
	if r.rounds -= n * blocks; r.rounds < 0 {
		return r.problem("has its password hashed too often: more than %d times altogether", maxFileRounds)
	}
	return nil
}

// decrypt returns what is encrypted with the password. Callers clear it.
func (r *passwordReader) decrypt(a pkix.AlgorithmIdentifier, data []byte) ([]byte, error) {
	block, iv, err := r.cipher(a)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(data) == 0 || len(data)%size != 0 || len(iv) != size {
		return nil, r.problem("cannot be read: it is damaged")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	n := int(plain[len(plain)-1])
	if n == 0 || n > size || !bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		clear(plain)
		return nil, r.problem("cannot be decrypted: the password is wrong")
	}
	return plain[:len(plain)-n], nil
}

// cipher returns the cipher that an algorithm makes of the password.
func (r *passwordReader) cipher(a pkix.AlgorithmIdentifier) (block cipher.Block, iv []byte, err error) {
	switch {
	case a.Algorithm.Equal(oidPBES2):
		return r.pbes2Cipher(a)
	case a.Algorithm.Equal(oidSHA1And3DES):
		return r.pbeCipher(a, 24, des.NewTripleDESCipher)
	case a.Algorithm.Equal(oidSHA1AndRC2):
		return r.pbeCipher(a, 16, newRC2)
	case a.Algorithm.Equal(oidSHA1AndRC240):
		return r.pbeCipher(a, 5, newRC2)
	}
	return nil, nil, r.problem("is encrypted in an unknown way, %v: convert it with OpenSSL", a.Algorithm)
}

// pbes2Cipher returns that of PBES2.
func (r *passwordReader) pbes2Cipher(a pkix.AlgorithmIdentifier) (cipher.Block, []byte, error) {
	var scheme pbes2
	if !unmarshal(a.Parameters.FullBytes, &scheme) {
		return nil, nil, r.problem("cannot be read: it is damaged")
	}
	length, ok := aesKeys[scheme.Scheme.Algorithm.String()]
	var iv []byte
	if !ok || !unmarshal(scheme.Scheme.Parameters.FullBytes, &iv) || len(iv) != aes.BlockSize {
		return nil, nil, r.problem("is encrypted with something else than AES-CBC")
	}
	key, err := r.pbkdf2(scheme.KDF, length)
	if err != nil {
		return nil, nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	return block, iv, err
}

// pbkdf2 makes a key of so many bytes of the password; 0: as many as the parameters say.
func (r *passwordReader) pbkdf2(a pkix.AlgorithmIdentifier, length int) ([]byte, error) {
	var kdf pbkdf2Params
	if !a.Algorithm.Equal(oidPBKDF2) || !unmarshal(a.Parameters.FullBytes, &kdf) {
		return nil, r.problem("is protected by a password in another way than by PBKDF2")
	}
	newHash := sha1.New // the default
	if len(kdf.PRF.Algorithm) > 0 {
		newHash = pbkdf2Hashes[kdf.PRF.Algorithm.String()]
	}
	if length == 0 {
		length = kdf.KeyLength
	}
	switch {
	case newHash == nil:
		return nil, r.problem("has its password go through an unknown hash")
	case length < 16 || length > sha512.Size || kdf.KeyLength != 0 && kdf.KeyLength != length:
		return nil, r.problem("cannot be read: its cipher has another key length than its password makes")
	}
	size := newHash().Size()
	if err := r.spend(kdf.Iterations, (length+size-1)/size); err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(newHash, string(r.password.Reveal()), kdf.Salt, kdf.Iterations, length)
	if err != nil {
		return nil, r.problem("cannot be decrypted: %v", err)
	}
	return key, nil
}

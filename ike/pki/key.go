package pki

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/warrenvpn/warren/internal/secret"
)

// MaxKey is the size of the largest private key in bytes.
const MaxKey = 16 << 10

// maxIterations bounds how often a password is hashed, which the file says: more than
// anybody asks for, and half a second.
const maxIterations = 1_000_000

// keyNotRead begins what is wrong with a key.
func keyNotRead(format string, args ...any) error {
	return &Error{"the private key", fmt.Sprintf(format, args...)}
}

// ParseKey reads a private key: PEM or DER, of PKCS #8, plain or encrypted (PBES2 of RFC
// 8018 with PBKDF2 and AES-CBC), PKCS #1, or SEC 1. password is for an encrypted one, and
// empty where there is none. No error has a part of the key in it.
func ParseKey(b []byte, password secret.Value) (crypto.Signer, error) {
	der, kind, err := keyBlock(b)
	if err != nil {
		return nil, err
	}
	if len(der) > MaxKey {
		return nil, keyNotRead("has %d bytes, more than %d", len(der), MaxKey)
	}
	plain := der
	if kind == "ENCRYPTED PRIVATE KEY" || kind == "" && isEncrypted(der) {
		if plain, err = decryptKey(der, password); err != nil {
			return nil, err
		}
		defer clear(plain)
	} else if password.Len() > 0 {
		return nil, keyNotRead("is not encrypted, though there is a password for it")
	}
	return parsePlain(plain)
}

// keyBlock returns the DER of the first key, and its label in PEM.
func keyBlock(b []byte) (der []byte, kind string, err error) {
	if len(b) > 0 && b[0] == derSequence {
		return b, "", nil
	}
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, "", keyNotRead("is not there: -----BEGIN PRIVATE KEY----- begins one in PEM")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Headers["DEK-Info"] != "" {
			return nil, "", keyNotRead("is encrypted in a form that anybody can try passwords on: " +
				"convert it with `openssl pkcs8 -topk8`")
		}
		return block.Bytes, block.Type, nil
	}
}

// parsePlain reads the DER of a key in any of its forms. crypto/x509 would say in which
// form else a key might be; nothing more is told.
func parsePlain(der []byte) (crypto.Signer, error) {
	var key any
	var err error
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
		func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
	} {
		if key, err = parse(der); err == nil {
			break
		}
	}
	if err != nil {
		return nil, keyNotRead("cannot be read: it is none of PKCS #8, PKCS #1 and SEC 1, or damaged")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, keyNotRead("cannot sign")
	}
	if err := checkKey(signer.Public()); err != nil {
		return nil, keyNotRead("is %s", err)
	}
	return signer, nil
}

// MarshalKey returns the PKCS #8 DER of a key, in which form ParseKey reads it.
func MarshalKey(key crypto.Signer) (secret.Value, error) {
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secret.Value{}, keyNotRead("cannot be kept: %v", err)
	}
	return secret.New(b), nil
}

// The algorithms of PBES2 (RFC 8018 appendix A and B).
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	// The hashes that passwords go through.
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

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2 are the parameters of PBES2.
type pbes2 struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

// pbkdf2Params are those of PBKDF2 with a salt of its own.
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// unmarshal reads exactly one value.
func unmarshal(b []byte, v any) bool {
	rest, err := asn1.Unmarshal(b, v)
	return err == nil && len(rest) == 0
}

// isEncrypted reports whether the DER of a key is encrypted.
func isEncrypted(der []byte) bool {
	var e encryptedKey
	return unmarshal(der, &e)
}

// decryptKey returns the key within an encrypted one.
func decryptKey(der []byte, password secret.Value) ([]byte, error) {
	if password.Len() == 0 {
		return nil, keyNotRead("is encrypted, and there is no password for it")
	}
	var e encryptedKey
	var scheme pbes2
	if !unmarshal(der, &e) {
		return nil, keyNotRead("cannot be read: it is damaged")
	}
	if !e.Algorithm.Algorithm.Equal(oidPBES2) || !unmarshal(e.Algorithm.Parameters.FullBytes, &scheme) {
		return nil, keyNotRead("is encrypted with something else than PBES2: convert it with `openssl pkcs8 -topk8`")
	}
	block, iv, err := keyCipher(&scheme, password)
	if err != nil {
		return nil, err
	}
	if len(e.Data) == 0 || len(e.Data)%aes.BlockSize != 0 {
		return nil, keyNotRead("cannot be read: it is damaged")
	}
	plain := make([]byte, len(e.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, e.Data)
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		clear(plain)
		return nil, keyNotRead("cannot be decrypted: the password is wrong")
	}
	return plain[:len(plain)-n], nil
}

// keyCipher returns the cipher that a password and the parameters of PBES2 make.
func keyCipher(scheme *pbes2, password secret.Value) (cipher.Block, []byte, error) {
	var kdf pbkdf2Params
	if !scheme.KDF.Algorithm.Equal(oidPBKDF2) || !unmarshal(scheme.KDF.Parameters.FullBytes, &kdf) {
		return nil, nil, keyNotRead("is encrypted with a password in another way than by PBKDF2")
	}
	length, ok := aesKeys[scheme.Cipher.Algorithm.String()]
	var iv []byte
	if !ok || !unmarshal(scheme.Cipher.Parameters.FullBytes, &iv) || len(iv) != aes.BlockSize {
		return nil, nil, keyNotRead("is encrypted with something else than AES-CBC")
	}
	newHash := sha1.New // the default
	if len(kdf.PRF.Algorithm) > 0 {
		newHash = pbkdf2Hashes[kdf.PRF.Algorithm.String()]
	}
	switch {
	case newHash == nil:
		return nil, nil, keyNotRead("is encrypted with a password that goes through an unknown hash")
	case kdf.Iterations < 1 || kdf.Iterations > maxIterations:
		return nil, nil, keyNotRead("asks for %d rounds of PBKDF2; at most %d are done", kdf.Iterations, maxIterations)
	case kdf.KeyLength != 0 && kdf.KeyLength != length:
		return nil, nil, keyNotRead("cannot be read: its cipher has another key length than its password makes")
	}
	key, err := pbkdf2.Key(newHash, string(password.Reveal()), kdf.Salt, kdf.Iterations, length)
	if err != nil {
		return nil, nil, keyNotRead("cannot be decrypted: %v", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	return block, iv, errors.Join(err)
}

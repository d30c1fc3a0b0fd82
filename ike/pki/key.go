package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/internal/secret"
)

// MaxKey is the size of the largest private key in bytes.
const MaxKey = 16 << 10

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

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
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
	if !unmarshal(der, &e) {
		return nil, keyNotRead("cannot be read: it is damaged")
	}
	if !e.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, keyNotRead("is encrypted with something else than PBES2: convert it with `openssl pkcs8 -topk8`")
	}
	r := passwordReader{what: "the private key", password: password, rounds: 2 * maxRounds} // a key of two blocks
	return r.decrypt(e.Algorithm, e.Data)
}

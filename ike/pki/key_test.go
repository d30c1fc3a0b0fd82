package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/internal/secret"
)

// same reports whether two keys are one.
func same(a, b crypto.Signer) bool {
	return a.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(b.Public())
}

func TestParseKey(t *testing.T) {
	ec, rs, ed := pkitest.ECDSA(), pkitest.RSA(2048), pkitest.Ed25519()
	sec1, err := x509.MarshalECPrivateKey(ec.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k crypto.Signer) []byte { return (&pkitest.Issued{Key: k}).KeyDER() }
	block := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
	for _, tt := range []struct {
		name string
		file []byte
		key  crypto.Signer
	}{
		{"PKCS #8", block("PRIVATE KEY", pkcs8(ec)), ec},
		{"PKCS #8, RSA", block("PRIVATE KEY", pkcs8(rs)), rs},
		{"PKCS #8, Ed25519", block("PRIVATE KEY", pkcs8(ed)), ed},
		{"DER", pkcs8(ec), ec},
		{"PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs.(*rsa.PrivateKey))), rs},
		{"SEC 1, behind its parameters", append(block("EC PARAMETERS", []byte{5, 0}),
			block("EC PRIVATE KEY", sec1)...), ec},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseKey(tt.file, secret.Value{})
			if err != nil || !same(got, tt.key) {
				t.Fatalf("%v", err)
			}
			kept, err := MarshalKey(got)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseKey(kept.Reveal(), secret.Value{}); err != nil || !same(again, tt.key) {
				t.Errorf("kept: %v", err)
			}
		})
	}
	for _, tt := range []struct{ name, file, password, want string }{
		{"nothing", "", "", "is not there"},
		{"a certificate", string(pkitest.Root("root").PEM()), "", "is not there"},
		{"damaged", string(block("PRIVATE KEY", pkcs8(ec)[1:])), "", "is none of PKCS #8, PKCS #1 and SEC 1"},
		{"a password too much", string(block("PRIVATE KEY", pkcs8(ec))), "x", "is not encrypted"},
		{"short", string(block("PRIVATE KEY", pkcs8(pkitest.RSA(1024)))), "", "is an RSA key of 1024 bits"},
		{"long", string(block("PRIVATE KEY", make([]byte, MaxKey+1))), "", "more than 16384"},
		{"PEM's own encryption", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte{1}})),
			"x", "openssl pkcs8 -topk8"},
	} {
		_, err := ParseKey([]byte(tt.file), secret.Copy([]byte(tt.password)))
		want(t, err, tt.want)
	}
}

// encrypted were made by OpenSSL 3.0 with the password "correct horse": a key on P-256
// with AES-256-CBC and HMAC-SHA256, AES-128-CBC and HMAC-SHA512, and scrypt.
var encrypted = map[string]string{
	"aes256": encryptedAES256, "aes128": encryptedAES128,
}

func TestEncryptedKey(t *testing.T) {
	plain, err := ParseKey([]byte(encryptedPlain), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range encrypted {
		got, err := ParseKey([]byte(file), secret.Copy([]byte("correct horse")))
		if err != nil || !same(got, plain) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = ParseKey([]byte(file), secret.Copy([]byte("battery staple")))
		if err == nil || strings.Contains(err.Error(), "battery") {
			t.Errorf("%s, with a wrong password: %v", name, err)
		}
		_, err = ParseKey([]byte(file), secret.Value{})
		want(t, err, "is encrypted, and there is no password for it")
	}
	_, err = ParseKey([]byte(encryptedScrypt), secret.Copy([]byte("correct horse")))
	want(t, err, "in another way than by PBKDF2")
	_, err = ParseKey([]byte(encryptedDES), secret.Copy([]byte("correct horse")))
	want(t, err, "something else than AES-CBC")
}

// TestIterations: a file cannot have us hash a password for hours.
func TestIterations(t *testing.T) {
	block, _ := pem.Decode([]byte(encryptedAES256))
	var e encryptedKey
	var scheme pbes2
	var kdf pbkdf2Params
	if !unmarshal(block.Bytes, &e) || !unmarshal(e.Algorithm.Parameters.FullBytes, &scheme) ||
		!unmarshal(scheme.KDF.Parameters.FullBytes, &kdf) {
		t.Fatal("the key cannot be read")
	}
	for _, n := range []int{0, -1, maxRounds + 1} {
		kdf.Iterations = n
		scheme.KDF.Parameters = asn1.RawValue{FullBytes: der(kdf)}
		e.Algorithm.Parameters = asn1.RawValue{FullBytes: der(scheme)}
		_, err := ParseKey(der(e), secret.Copy([]byte("correct horse")))
		want(t, err, "has its password hashed")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(encryptedPlain), "")
	f.Add((&pkitest.Issued{Key: pkitest.Ed25519()}).KeyDER(), "")
	f.Add([]byte(encryptedScrypt), "correct horse")
	f.Fuzz(func(t *testing.T, b []byte, password string) {
		key, err := ParseKey(b, secret.Copy([]byte(password)))
		if (err == nil) != (key != nil) {
			t.Fatalf("%v, %v", key, err)
		}
	})
}

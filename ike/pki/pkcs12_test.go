package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/secret"
)

// pkcs12Password is that of the files in testdata. OpenSSL 3.0 has made all but one, of one
// key and its chain, the root before the authority below it: modern with its defaults;
// legacy with -legacy, as OpenSSL 1 and Windows did (certificates with RC2 of 40 bits, the
// key with 3DES); 3des and rc2-128 with those algorithms; plain with the password for the
// MAC alone. pbmac1 is of go-pkcs12, with the MAC of RFC 9579.
const pkcs12Password = "correct horse ä"

func pkcs12File(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".p12"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParsePKCS12(t *testing.T) {
	for _, name := range []string{"modern", "legacy", "3des", "rc2-128", "plain", "pbmac1"} {
		t.Run(name, func(t *testing.T) {
			b := pkcs12File(t, name)
			chain, key, err := ParsePKCS12(b, secret.Copy([]byte(pkcs12Password)))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range chain {
				names = append(names, c.Subject.CommonName)
			}
			if got := strings.Join(names, " < "); got != "gw < sub < root" {
				t.Errorf("chain %s", got)
			}
			if _, err := NewOwn(chain, key); err != nil {
				t.Error(err)
			}
			_, _, err = ParsePKCS12(b, secret.Copy([]byte("battery staple")))
			want(t, err, "the password is wrong, or the file is damaged")
			b[len(b)/2] ^= 1 // among what the MAC is about
			_, _, err = ParsePKCS12(b, secret.Copy([]byte(pkcs12Password)))
			want(t, err, "the PKCS #12 file cannot be read")
		})
	}
}

func TestUnusablePKCS12(t *testing.T) {
	ber := pkcs12File(t, "modern")
	ber[1] = 0x80
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "cannot be read: it is damaged"},
		{"large", make([]byte, MaxPKCS12+1), "more than 278528"},
		{"text", []byte("-----BEGIN CERTIFICATE-----"), "cannot be read: it is damaged"},
		{"BER", ber, "openssl pkcs12 -export"},
		{"without a MAC", pkcs12File(t, "nomac"), "that it is whole (MAC): export it with one"},
		{"without a key", pkcs12File(t, "nokey"), "has no private key"},
		{"without a certificate", pkcs12File(t, "nocert"), "has no certificate of its private key"},
		{"too many rounds", pkcs12File(t, "rounds"), "hashed 1000001 times; 1 to 1000000 times are done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := ParsePKCS12(tt.file, secret.Copy([]byte(pkcs12Password)))
			want(t, err, tt.want)
		})
	}
	_, _, err := ParsePKCS12(pkcs12File(t, "legacy"), secret.Copy([]byte{0xff, 0xfe}))
	want(t, err, "needs a password that is text")
}

// TestPKCS12Prefixes: a file that ends early is refused, wherever it does.
func TestPKCS12Prefixes(t *testing.T) {
	b := pkcs12File(t, "plain")
	for n := range b {
		if _, _, err := ParsePKCS12(b[:n], secret.Copy([]byte(pkcs12Password))); err == nil {
			t.Fatalf("%d of %d bytes are accepted", n, len(b))
		}
	}
}

// TestPKCS12Parts: the parts of a file are bounded, and so is the work for them. What the
// MAC is about comes from who knows the password: who may write the configuration.
func TestPKCS12Parts(t *testing.T) {
	type content struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	bags := func(n int) []byte {
		var bags []content
		for range n {
			value := asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: der(0)}
			bags = append(bags, content{asn1.ObjectIdentifier{1, 2, 3}, value})
		}
		return der(bags)
	}
	p := func() *pkcs12 {
		return &pkcs12{passwordReader: passwordReader{"the PKCS #12 file", secret.Copy([]byte("x")), maxFileRounds}}
	}
	if err := p().readBags(bags(maxBags)); err != nil {
		t.Error(err)
	}
	want(t, p().readBags(bags(maxBags+1)), "has more than 64 parts")

	b := p()
	if err := b.spend(maxRounds, 2); err != nil {
		t.Error(err)
	}
	want(t, b.spend(1, 1), "more than 2000000 times altogether")
	for _, n := range []int{-1, 0, maxRounds + 1} {
		want(t, p().spend(n, 1), "1 to 1000000 times are done")
	}
}

// TestPKCS12Chain: the certificate that is valid longest, and who has signed it where
// several have the name of the issuer.
func TestPKCS12Chain(t *testing.T) {
	chain, key, err := ParsePKCS12(pkcs12File(t, "modern"), secret.Copy([]byte(pkcs12Password)))
	if err != nil {
		t.Fatal(err)
	}
	impostor := *chain[0]
	impostor.RawSubject, impostor.PublicKey = chain[1].RawSubject, chain[2].PublicKey
	p := pkcs12{key: key, certs: []*x509.Certificate{&impostor, chain[2], chain[1], chain[0]}}
	if got := p.chain(); len(got) != 3 || got[1] != chain[1] {
		t.Errorf("%d certificates, the second %v", len(got), got[1].Subject)
	}
}

// TestRC2 has the vectors of RFC 2268 section 5 whose keys have as many effective bits as
// they have bits.
func TestRC2(t *testing.T) {
	for _, tt := range []struct{ key, plain, cipher string }{
		{"ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", "1000000000000001", "30649edf9be7d2c2"},
		{"88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"},
	} {
		key, _ := hex.DecodeString(tt.key)
		b, _ := hex.DecodeString(tt.cipher)
		c, err := newRC2(key)
		if err != nil {
			t.Fatal(err)
		}
		if c.Decrypt(b, b); hex.EncodeToString(b) != tt.plain {
			t.Errorf("%s with %s: %x, want %s", tt.cipher, tt.key, b, tt.plain)
		}
	}
}

func TestAddPlusOne(t *testing.T) {
	a := []byte{0xff, 0x00, 0xff}
	addPlusOne(a, []byte{0x00, 0xff, 0x00})
	if !bytes.Equal(a, []byte{0, 0, 0}) {
		t.Errorf("%x", a)
	}
}

func FuzzParsePKCS12(f *testing.F) {
	for _, name := range []string{"modern", "legacy", "plain", "pbmac1"} {
		f.Add(pkcs12File(f, name), pkcs12Password)
	}
	f.Fuzz(func(t *testing.T, b []byte, password string) {
		chain, key, err := ParsePKCS12(b, secret.Copy([]byte(password)))
		if (err == nil) != (key != nil && len(chain) > 0) {
			t.Fatalf("%v, %v, %v", chain, key, err)
		}
		// What the MAC keeps a stranger from, and not its author.
		p := pkcs12{passwordReader: passwordReader{"the file", secret.Copy([]byte(password)), 10_000}}
		_ = p.readBags(b)
	})
}

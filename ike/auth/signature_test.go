package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/ike/pki/pkitest"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/datatest"
)

// identifiers are what method 14 names algorithms with, as RFC 7427 appendix A prints
// them, and RFC 8420 appendix A.
var identifiers = map[string]string{
	"RSA with SHA2-256":   "300d06092a864886f70d01010b0500",
	"RSA with SHA2-384":   "300d06092a864886f70d01010c0500",
	"RSA with SHA2-512":   "300d06092a864886f70d01010d0500",
	"ECDSA with SHA2-256": "300a06082a8648ce3d040302",
	"ECDSA with SHA2-384": "300a06082a8648ce3d040303",
	"ECDSA with SHA2-512": "300a06082a8648ce3d040304",
	"Ed25519":             "300506032b6570",
	"PSS with SHA2-256": "304606092a864886f70d01010a3039a00f300d06096086480165030402010500" +
		"a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101",
	"PSS as OpenSSL writes it": "304106092a864886f70d01010a3034a00f300d06096086480165030402030500" +
		"a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140",
}

func identifier(name string) []byte {
	b, err := hex.DecodeString(identifiers[name])
	if err != nil {
		panic(err)
	}
	return b
}

// named is the data of method 14.
func named(id, sig []byte) []byte { return append(append([]byte{byte(len(id))}, id...), sig...) }

// TestSign: each key signs what its peers understand, and what it makes is verified.
func TestSign(t *testing.T) {
	octets := []byte("what is signed")
	p256, p384 := pkitest.ECDSA(), pkitest.OnCurve(elliptic.P384())
	p521, rs, ed := pkitest.OnCurve(elliptic.P521()), pkitest.RSA(2048), pkitest.Ed25519()
	for _, tt := range []struct {
		name   string
		key    crypto.Signer
		hashes Hashes
		sha1   bool
		method wire.AuthMethod
		id     string // of method 14
		size   int    // of the data of another method
	}{
		{"RSA", rs, AllHashes, false, wire.AuthSignature, "RSA with SHA2-256", 0},
		{"RSA, for SHA2-512 alone", rs, SHA2512, false, wire.AuthSignature, "RSA with SHA2-512", 0},
		{"RSA, for whom SHA-1 is not needed", rs, AllHashes, true, wire.AuthSignature, "RSA with SHA2-256", 0},
		{"RSA of old", rs, 0, true, wire.AuthRSA, "", 256},
		{"RSA of old, which is not wanted", rs, 0, false, 0, "", 0},
		{"RSA, no hash in common", rs, Identity, true, 0, "", 0},
		{"P-256", p256, AllHashes, false, wire.AuthSignature, "ECDSA with SHA2-256", 0},
		{"P-384", p384, AllHashes, false, wire.AuthSignature, "ECDSA with SHA2-384", 0},
		{"P-521", p521, AllHashes, false, wire.AuthSignature, "ECDSA with SHA2-512", 0},
		{"P-384, for SHA2-256 alone", p384, SHA2256, false, wire.AuthSignature, "ECDSA with SHA2-256", 0},
		{"P-256 of old", p256, 0, false, wire.AuthECDSA256, "", 64},
		{"P-384 of old", p384, 0, false, wire.AuthECDSA384, "", 96},
		{"P-521 of old", p521, 0, false, wire.AuthECDSA521, "", 132},
		{"Ed25519", ed, AllHashes, false, wire.AuthSignature, "Ed25519", 0},
		{"Ed25519, not understood", ed, SHA2256, false, 0, "", 0},
		{"Ed25519 of old", ed, 0, true, 0, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proof, err := Sign(tt.key, tt.hashes, tt.sha1, octets)
			if tt.method == 0 {
				if !errors.Is(err, ErrNoHash) {
					t.Fatalf("%+v, %v", proof, err)
				}
				return
			}
			if err != nil || proof.Method != tt.method {
				t.Fatalf("method %v, %v", proof.Method, err)
			}
			if id := named(identifier(tt.id), nil); tt.id != "" && !bytes.HasPrefix(proof.Data, id) ||
				tt.id == "" && len(proof.Data) != tt.size {
				t.Errorf("data %x", proof.Data)
			}
			if err := VerifySignature(tt.key.Public(), tt.sha1, octets, proof); err != nil {
				t.Error(err)
			}
			refused(t, tt.key, tt.sha1, octets, proof)
		})
	}
}

// refused looks whether nothing but the proof is accepted, and that for its octets and its
// key alone.
func refused(t *testing.T, key crypto.Signer, sha1 bool, octets []byte, proof wire.Auth) {
	t.Helper()
	check := func(what string, public crypto.PublicKey, octets []byte, proof wire.Auth) {
		if err := VerifySignature(public, sha1, octets, proof); !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("other octets", key.Public(), append(octets, '.'), proof)
	for _, other := range []crypto.Signer{pkitest.ECDSA(), pkitest.Ed25519()} {
		check("another key", other.Public(), octets, proof)
	}
	for i := 0; i < len(proof.Data); i += max(1, len(proof.Data)/24) {
		damaged := wire.Auth{Method: proof.Method, Data: bytes.Clone(proof.Data)}
		damaged.Data[i] ^= 0x40
		check("a damaged proof", key.Public(), octets, damaged)
		check("a prefix", key.Public(), octets, wire.Auth{Method: proof.Method, Data: proof.Data[:i]})
	}
	check("another method", key.Public(), octets, wire.Auth{Method: wire.AuthSharedKey, Data: proof.Data})
}

// TestVerifyPSS: RSASSA-PSS is verified in both spellings of its parameters, and nothing
// that differs from them.
func TestVerifyPSS(t *testing.T) {
	key := pkitest.RSA(2048)
	octets := []byte("what is signed")
	for name, h := range map[string]crypto.Hash{"PSS with SHA2-256": crypto.SHA256,
		"PSS as OpenSSL writes it": crypto.SHA512} {
		sign := func(salt int) []byte {
			sig, err := rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), h, digest(h, octets),
				&rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}
		id, sig := identifier(name), sign(h.Size())
		accepted := func(id, sig []byte) bool {
			return VerifySignature(key.Public(), false, octets,
				wire.Auth{Method: wire.AuthSignature, Data: named(id, sig)}) == nil
		}
		if !accepted(id, sig) {
			t.Errorf("%s is not verified", name)
		}
		if accepted(id, sign(h.Size()-1)) {
			t.Errorf("%s: a salt of another length is accepted", name)
		}
		for i := range id {
			other := bytes.Clone(id)
			if other[i] ^= 1; accepted(other, sig) {
				t.Errorf("%s: %x is accepted", name, other)
			}
		}
	}
	for _, id := range []string{
		"300b06092a864886f70d01010a",     // no parameters
		"300d06092a864886f70d01010a3000", // the defaults: SHA-1
		"300d06092a864886f70d0101050500", // RSA with SHA-1
		"300906072a8648ce3d0401",         // ECDSA with SHA-1
	} {
		b, _ := hex.DecodeString(id)
		if _, _, ok := splitSignature(named(b, make([]byte, 256))); ok {
			t.Errorf("%s is accepted", id)
		}
	}
}

// TestSHA1 needs to be asked for.
func TestSHA1(t *testing.T) {
	key := pkitest.RSA(2048)
	proof, err := Sign(key, 0, true, []byte("octets"))
	if err != nil {
		t.Fatal(err)
	}
	err = VerifySignature(key.Public(), false, []byte("octets"), proof)
	if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), `rsa_sig_hash = "sha1"`) {
		t.Errorf("%v", err)
	}
}

// vectorFile is a file of Wycheproof.
type vectorFile struct {
	TestGroups []struct {
		PublicKeyDer string
		Tests        []struct {
			TCID     int
			Msg, Sig string
			Result   string
			Flags    []string
		}
	}
}

// TestWycheproof verifies all signatures of Wycheproof that are of a form of ours.
func TestWycheproof(t *testing.T) {
	for _, tt := range []struct {
		file   string
		method wire.AuthMethod
		id     string
	}{
		{"ecdsa_secp256r1_sha256_p1363", wire.AuthECDSA256, ""},
		{"ecdsa_secp384r1_sha384_p1363", wire.AuthECDSA384, ""},
		{"ecdsa_secp521r1_sha512_p1363", wire.AuthECDSA521, ""},
		{"ecdsa_secp256r1_sha256", wire.AuthSignature, "ECDSA with SHA2-256"},
		{"ecdsa_secp384r1_sha384", wire.AuthSignature, "ECDSA with SHA2-384"},
		{"ecdsa_secp521r1_sha512", wire.AuthSignature, "ECDSA with SHA2-512"},
		{"ed25519", wire.AuthSignature, "Ed25519"},
		{"rsa_signature_2048_sha256", wire.AuthSignature, "RSA with SHA2-256"},
		{"rsa_signature_2048_sha512", wire.AuthSignature, "RSA with SHA2-512"},
		{"rsa_signature_3072_sha384", wire.AuthSignature, "RSA with SHA2-384"},
		{"rsa_signature_4096_sha512", wire.AuthSignature, "RSA with SHA2-512"},
		{"rsa_pss_2048_sha256_mgf1_32", wire.AuthSignature, "PSS with SHA2-256"},
		{"rsa_pss_3072_sha256_mgf1_32", wire.AuthSignature, "PSS with SHA2-256"},
		{"rsa_pss_4096_sha512_mgf1_64", wire.AuthSignature, "PSS as OpenSSL writes it"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			var file vectorFile
			datatest.JSON(t, "wycheproof/"+tt.file+"_test.json", &file)
			valid := 0
			for _, g := range file.TestGroups {
				key, err := x509.ParsePKIXPublicKey(unhex(t, g.PublicKeyDer))
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range g.Tests {
					proof := wire.Auth{Method: tt.method, Data: unhex(t, v.Sig)}
					if tt.id != "" {
						proof.Data = named(identifier(tt.id), proof.Data)
					}
					err := VerifySignature(key, false, unhex(t, v.Msg), proof)
					if v.Result != "acceptable" && (err == nil) != (v.Result == "valid") {
						t.Errorf("#%d %v, %s: %v", v.TCID, v.Flags, v.Result, err)
					}
					if err == nil {
						valid++
					}
				}
			}
			if valid == 0 {
				t.Error("no signature was verified")
			}
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRawHalves: a half of an ECDSA signature that begins with zeros keeps its length.
func TestRawHalves(t *testing.T) {
	key := pkitest.ECDSA().(*ecdsa.PrivateKey)
	c := curves[elliptic.P256()]
	for n := range 2000 {
		sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
		sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.raw(sig)
		if err != nil || len(raw) != 64 {
			t.Fatalf("%x, %v", raw, err)
		}
		if der, ok := c.der(raw); !ok || !bytes.Equal(der, sig) {
			t.Fatalf("%x becomes %x", sig, der)
		}
		if raw[0] == 0 || raw[32] == 0 {
			return
		}
	}
	t.Error("no half began with a zero")
}

func TestHashes(t *testing.T) {
	all := AllHashes.AppendTo(nil)
	if !bytes.Equal(all, []byte{0, 2, 0, 3, 0, 4, 0, 5}) {
		t.Errorf("%x", all)
	}
	if h, err := ParseHashes([]byte{0, 1, 0, 3, 0xff, 2}); err != nil || h != SHA2384 {
		t.Errorf("%v, %v", h, err)
	}
	if _, err := ParseHashes([]byte{0}); err == nil {
		t.Error("an odd length is accepted")
	}
}

func FuzzParseHashes(f *testing.F) {
	f.Add(AllHashes.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHashes(b)
		if again, bad := ParseHashes(h.AppendTo(nil)); err == nil && (bad != nil || again != h) {
			t.Fatalf("%v becomes %v", h, again)
		}
	})
}

// FuzzVerifySignature: whatever a peer sends in AUTH is no proof.
func FuzzVerifySignature(f *testing.F) {
	keys := []crypto.Signer{pkitest.RSA(2048), pkitest.ECDSA(), pkitest.Ed25519()}
	for i, k := range keys {
		proof, err := Sign(k, AllHashes, false, []byte("other octets"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), uint8(proof.Method), proof.Data)
	}
	for name := range identifiers {
		f.Add(uint8(0), uint8(wire.AuthSignature), named(identifier(name), make([]byte, 256)))
	}
	f.Fuzz(func(t *testing.T, key, method uint8, data []byte) {
		err := VerifySignature(keys[int(key)%len(keys)].Public(), true, []byte("octets"),
			wire.Auth{Method: wire.AuthMethod(method), Data: data})
		if !errors.Is(err, ErrFailed) {
			t.Fatalf("%v", err)
		}
	})
}

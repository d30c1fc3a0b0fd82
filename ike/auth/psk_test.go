package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// sum is HMAC-SHA-256 as the standard library has it.
func sum(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// TestPSK spells the formulas of RFC 7296 section 2.15 out.
func TestPSK(t *testing.T) {
	prf, ok := suite.NewPRF(sa.PRFHMACSHA256)
	if !ok {
		t.Fatal("no PRF")
	}
	pi, pr := secret.Copy([]byte("SK_pi")), secret.Copy([]byte("SK_pr"))
	idi := wire.IDi{ID: wire.ID{Type: wire.IDFQDN, Reserved: [3]byte{0, 0, 1}, Data: []byte("client.example")}}
	idr := wire.IDr{ID: wire.ID{Type: wire.IDFQDN, Data: []byte("gw.example")}}

	octetsI := InitiatorSignedOctets(prf, []byte("request"), []byte("Nr"), pi, idi)
	if want := "requestNr" + string(sum(pi.Reveal(), "\x02\x00\x00\x01client.example")); string(octetsI) != want {
		t.Errorf("initiator signs %q, want %q", octetsI, want)
	}
	octetsR := ResponderSignedOctets(prf, []byte("response"), []byte("Ni"), pr, idr)
	if want := "responseNi" + string(sum(pr.Reveal(), "\x02\x00\x00\x00gw.example")); string(octetsR) != want {
		t.Errorf("responder signs %q, want %q", octetsR, want)
	}

	key := PSK{secret.Copy([]byte("correct horse"))}
	proof, err := key.Prove(prf, octetsI)
	if err != nil {
		t.Fatal(err)
	}
	want := sum(sum([]byte("correct horse"), "Key Pad for IKEv2"), string(octetsI))
	if proof.Method != wire.AuthSharedKey || !bytes.Equal(proof.Data, want) {
		t.Errorf("proof %v %x, want %x", proof.Method, proof.Data, want)
	}

	other := proof
	other.Method = wire.AuthSignature
	short := proof
	short.Data = short.Data[:31]
	empty, err := PSK{}.Prove(prf, octetsI)
	if !errors.Is(err, ErrFailed) {
		t.Errorf("an empty key proves: %v", err)
	}
	tests := []struct {
		name   string
		key    PSK
		octets []byte
		proof  wire.Auth
		ok     bool
	}{
		{"right", key, octetsI, proof, true},
		{"wrong key", PSK{secret.Copy([]byte("correct hors"))}, octetsI, proof, false},
		{"other octets", key, octetsR, proof, false},
		{"other method", key, octetsI, other, false},
		{"cut", key, octetsI, short, false},
		{"no data", key, octetsI, wire.Auth{Method: wire.AuthSharedKey}, false},
		{"no key", PSK{}, octetsI, proof, false},
		{"no key and its proof", PSK{}, octetsI,
			wire.Auth{Method: wire.AuthSharedKey, Data: sum(sum(nil, keyPad), string(octetsI))}, false},
		{"no key and no proof", PSK{}, octetsI, empty, false},
	}
	for _, tt := range tests {
		if err := tt.key.Verify(prf, tt.octets, tt.proof); (err == nil) != tt.ok || err != nil &&
			!errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestRecordedPSK is a recorded IKE_SA_INIT request with the AUTH payload that
// follows it, from the tests of Android's IKE library (Apache-2.0): a peer with
// HMAC-SHA1 and the pre-shared key "juniper123".
func TestRecordedPSK(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	request := unhex(`5f54bf6d8b48e6e10000000000000000212022080000000000000150
		220000300000002c010100040300000c0100000c800e0080030000080300000203000008040000020000000802000002
		2800008800020000b4a2faf4bb54878ae21d638512ece55d9236fc5046ab6cef82220f421f3ce636
		1faf36564ecb6d28798a94aad7b2b4b603ddeaaa5630adb9ece8ac37534036040610ebdd92f46bef
		84f0be7db860351843858f8acf87056e272377f70c9f2d81e29c7b0ce4f291a3a72476bb0b278fd4
		b7b0a4c26bbeb08214c7071376079587
		29000024c39b7f368f4681b89fa9b7be6465abd7c5f68b6ed5d3b4c72cb4240eb5c46412
		2900001c00004004e54f73b7d83f6beb881eab2051d8663f421d10b0
		2b00001c00004005d915368ca036004cb578ae3e3fb268509aeab190
		00000020699369228741c6d4ca094c93e242c9de19e7b7c60000000500000500`)
	m, err := wire.ParseMessage(request)
	if err != nil {
		t.Fatal(err)
	}
	if got := wire.AppendMessage(nil, m.Header, m.Payloads...); !bytes.Equal(got, request) {
		t.Errorf("request does not survive: %x", got)
	}
	proof, err := wire.ParseAuth(unhex("02000000df7c038aefaaa32d3f44b228b52a332744dfb2c1"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := wire.ParseID(unhex("010000000a50500d"))
	if err != nil {
		t.Fatal(err)
	}
	prf, _ := suite.NewPRF(sa.PRFHMACSHA1)
	nr := unhex("9756112ca539f5c25abacc7ee92b73091942a9c06950f98848f1af1694c4ddff")
	p := secret.New(unhex("094787780EE466E2CB049FA327B43908BC57E485"))
	octets := InitiatorSignedOctets(prf, request, nr, p, wire.IDi{ID: id})
	if err := (PSK{secret.Copy([]byte("juniper123"))}).Verify(prf, octets, proof); err != nil {
		t.Error(err)
	}
	nr[0]++
	octets = InitiatorSignedOctets(prf, request, nr, p, wire.IDi{ID: id})
	if err := (PSK{secret.Copy([]byte("juniper123"))}).Verify(prf, octets, proof); err == nil {
		t.Error("accepted with another nonce")
	}
}

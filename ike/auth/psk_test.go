package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
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
		{"no key and its proof", PSK{}, octetsI, wire.Auth{Method: wire.AuthSharedKey, Data: sum(sum(nil, keyPad), string(octetsI))}, false},
		{"no key and no proof", PSK{}, octetsI, empty, false},
	}
	for _, tt := range tests {
		if err := tt.key.Verify(prf, tt.octets, tt.proof); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

package radius

import (
	"bytes"
	"errors"
	"testing"

	"github.com/warrenvpn/warren/internal/secret"
)

// rfcCall is the request of RFC 2865 as it was sent.
func rfcCall(t testing.TB) *call {
	t.Helper()
	p, err := ParsePacket(octets(t, rfcRequest))
	if err != nil {
		t.Fatal(err)
	}
	return &call{identifier: p.Identifier, authenticator: p.Authenticator, key: secret.Copy([]byte(rfcKey))}
}

func TestVerifyRFC2865(t *testing.T) {
	c := rfcCall(t)
	p, err := c.verify(octets(t, rfcAccept), true)
	if err != nil || p.Code != AccessAccept {
		t.Fatalf("%v %v", p.Code, err)
	}
	if _, err := c.verify(octets(t, rfcAccept), false); !errors.Is(err, errUnsigned) {
		t.Errorf("without Message-Authenticator: %v", err)
	}
	c.eap = true
	if _, err := c.verify(octets(t, rfcAccept), true); !errors.Is(err, errUnsigned) {
		t.Errorf("EAP without Message-Authenticator: %v", err)
	}
	accept := octets(t, rfcAccept)
	for i := range accept {
		for bit := range 8 {
			bad := bytes.Clone(accept)
			bad[i] ^= 1 << bit
			if _, err := rfcCall(t).verify(bad, true); err == nil {
				t.Fatalf("octet %d, bit %d: forged", i, bit)
			}
		}
	}
}

// TestSignRFC5997: the Status-Server of RFC 5997 section 6.1 and its answer.
func TestSignRFC5997(t *testing.T) {
	request := octets(t, `0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02 18 5d 06 23
		50 12 5a 66 5e 2e 1e 84 11 f3 e2 43 82 20 97 c8 4f a3`)
	c := &call{identifier: 0xda, key: secret.Copy([]byte(rfcKey))}
	copy(c.authenticator[:], request[4:])
	if signed, err := c.signed(bytes.Clone(request)); !signed || err != nil {
		t.Errorf("the request is signed: %t %v", signed, err)
	}
	answer := octets(t, `02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8 b5 41 1d 66`)
	if p, err := c.verify(answer, true); err != nil || p.Code != AccessAccept {
		t.Errorf("the answer: %v %v", p.Code, err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(octets(f, rfcAccept), true)
	f.Fuzz(func(t *testing.T, b []byte, lenient bool) {
		if p, err := rfcCall(t).verify(b, lenient); err == nil {
			_, _ = ParseGrant(p.Attributes)
		}
	})
}

package failover

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/secret"
)

var heartbeatKey = deriveKey(secret.Copy([]byte("sixteen characters")))

var fullHeartbeat = &Heartbeat{
	Unit: UnitSecondary, Instance: 0x1122334455667788, Counter: 9, Challenge: 7, Echo: 8,
	Path: "direct", Program: "1.0",
	Groups: []GroupState{
		{Name: "1", Role: RoleActive, Epoch: 4, Used: 4, Replication: ReplicationBulk, Failed: 1,
			Impaired: true, Fit: true, Want: WantPreempt, Handover: true, Holds: true, Hash: [16]byte{1, 2}},
		{Name: "2", Role: RoleStandbyCold},
	},
	Interfaces: []InterfaceState{{"Ethernet0/0", true}, {"Ethernet0/1", false}},
}

func TestHeartbeatRoundTrip(t *testing.T) {
	for _, want := range []*Heartbeat{fullHeartbeat, {Unit: UnitPrimary, Ask: true}} {
		b := AppendHeartbeat(nil, want, heartbeatKey)
		got, err := ParseHeartbeat(b, heartbeatKey)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestHeartbeatRefused changes every byte, cuts at every byte and uses another
// key.
func TestHeartbeatRefused(t *testing.T) {
	b := AppendHeartbeat(nil, fullHeartbeat, heartbeatKey)
	for n := range b {
		if _, err := ParseHeartbeat(b[:n], heartbeatKey); err == nil {
			t.Errorf("a prefix of %d bytes is accepted", n)
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 1
		if _, err := ParseHeartbeat(flipped, heartbeatKey); err == nil {
			t.Errorf("a flipped bit in byte %d is accepted", n)
		}
	}
	other := deriveKey(secret.Copy([]byte("another key entirely")))
	if _, err := ParseHeartbeat(b, other); !errors.Is(err, ErrForged) {
		t.Errorf("another key: got %v, want %v", err, ErrForged)
	}
	later := bytes.Clone(b)
	later[3]++
	if _, err := ParseHeartbeat(later, heartbeatKey); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: got %v, want %v", err, ErrVersion)
	}
	if _, err := ParseHeartbeat(append(bytes.Clone(b), 0), heartbeatKey); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte too many: got %v, want %v", err, ErrMalformed)
	}
}

// TestDerivedKeys pins the derivation: nodes of different builds must agree.
func TestDerivedKeys(t *testing.T) {
	key := secret.Copy([]byte("sixteen characters"))
	if TenantKey(key, "red").Equal(TenantKey(key, "blue")) || TenantKey(key, "red").Equal(heartbeatKey) {
		t.Error("two derived keys are the same")
	}
	if got := hex.EncodeToString(heartbeatKey.Reveal()); len(got) != 64 {
		t.Errorf("key has %d digits", len(got))
	}
}

// signHeartbeat makes fuzz input authentic, so that the parser behind the
// authentication is reached.
func signHeartbeat(b []byte) []byte {
	b = bytes.Clone(b)
	size := len(b)
	copy(b, []byte{'W', 'H', 'B', Version})
	b[6], b[7] = byte(size>>8), byte(size)
	mac := hmac.New(sha256.New, heartbeatKey.Reveal())
	mac.Write(b[:size-heartbeatMAC])
	return mac.Sum(b[:size-heartbeatMAC])
}

func FuzzParseHeartbeat(f *testing.F) {
	f.Add(AppendHeartbeat(nil, fullHeartbeat, heartbeatKey), false)
	f.Add(AppendHeartbeat(nil, fullHeartbeat, heartbeatKey)[:90], true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign && len(b) > 2*heartbeatMAC && len(b) < 1<<15 {
			b = signHeartbeat(b)
		}
		h, err := ParseHeartbeat(b, heartbeatKey)
		if err != nil {
			return
		}
		if again := AppendHeartbeat(nil, h, heartbeatKey); !bytes.Equal(again, b) {
			t.Errorf("parsed % x, appended % x", b, again)
		}
	})
}

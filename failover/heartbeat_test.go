package failover

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/record/recordtest"
	"github.com/warrenvpn/warren/internal/secret"
)

var heartbeatKey = deriveKey(secret.Copy([]byte("sixteen characters")))

var fullHeartbeat = &Heartbeat{
	Unit: UnitSecondary, Active: true, Instance: 0x1122334455667788, Counter: 9, Challenge: 7, Echo: 8,
	Clock: 1893456000000, Path: "direct", Program: "1.0", Protocol: record.Versions{Oldest: 2, Newest: 3},
	Version: 5, Digest: Digest{3, 4}, Of: 6, Seen: 2, Poll: 25 * time.Millisecond,
	Entries: []Entry{
		{Kind: EntryGroup, Name: "1", Group: GroupState{
			Role: RoleActive, Epoch: 4, Used: 4, Replication: ReplicationBulk, Failed: 1, Broken: 2,
			Ready: 300, Held: 301,
			Impaired: true, Fit: true, Want: WantPreempt, Handover: true, Holds: true, Hash: [16]byte{1, 2}}},
		{Kind: EntryGroup, Name: "2", Group: GroupState{Role: RoleStandbyCold}},
		{Kind: EntryGroup, Name: "3", Gone: true},
		{Kind: EntryInterface, Name: "Ethernet0/0", Up: true},
		{Kind: EntryInterface, Name: "Ethernet0/1"},
	},
}

func TestHeartbeatRoundTrip(t *testing.T) {
	for _, want := range []*Heartbeat{fullHeartbeat, {Unit: UnitPrimary, Ask: true, Protocol: Protocol}} {
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

// TestOlderHeartbeats reads what older programs sent.
func TestOlderHeartbeats(t *testing.T) {
	samples := []recordtest.Sample{{Name: "heartbeat", Bytes: AppendHeartbeat(nil, fullHeartbeat, heartbeatKey)}}
	recordtest.Read(t, samples, func(b []byte) error { _, err := ParseHeartbeat(b, heartbeatKey); return err })
}

// TestHeartbeatRoom: what a heartbeat takes beside its entries is what room
// keeps back.
func TestHeartbeatRoom(t *testing.T) {
	const most = ^uint64(0)
	h := &Heartbeat{
		Unit: UnitPrimary, Active: true, Instance: most, Counter: most, Challenge: most, Echo: most, Clock: most,
		Version: most, Of: most, Seen: most, Poll: math.MaxInt64, Ask: true, Path: strings.Repeat("p", MaxName),
		Program: strings.Repeat("v", MaxName), Protocol: record.Versions{Oldest: 1, Newest: 255},
	}
	for i := range h.Digest {
		h.Digest[i] = 0xff
	}
	left := room(h.Path, h.Program)
	for i := 0; ; i++ {
		e := Entry{Kind: EntryGroup, Name: fmt.Sprintf("%0*d", MaxName, i), Group: GroupState{
			Role: RoleFailed, Epoch: most, Used: most, Replication: ReplicationReady, Failed: 255, Broken: 1 << 15,
			Ready: 1 << 15, Held: 1 << 15, Impaired: true, Fit: true, Want: WantPreempt, Handover: true, Holds: true,
			Hash: [16]byte{1},
		}}
		if left -= len(e.encoded()) + entryRoom; left < 0 {
			break
		}
		h.Entries = append(h.Entries, e)
	}
	if n := len(AppendHeartbeat(nil, h, heartbeatKey)); n > MaxHeartbeat || n < MaxHeartbeat-200 {
		t.Errorf("a heartbeat of %d octets with %d entries", n, len(h.Entries))
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
	later := signHeartbeat(b, heartbeatForm+1)
	if _, err := ParseHeartbeat(later, heartbeatKey); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: got %v, want %v", err, ErrVersion)
	}
	if _, err := ParseHeartbeat(later, other); !errors.Is(err, ErrForged) {
		t.Errorf("another version of a stranger: got %v, want %v", err, ErrForged)
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
func signHeartbeat(b []byte, form byte) []byte {
	b = bytes.Clone(b)
	size := len(b)
	copy(b, []byte{'W', 'H', 'B', form})
	b[6], b[7] = byte(size>>8), byte(size)
	return heartbeatSum(b[:size-heartbeatMAC], b[:size-heartbeatMAC], heartbeatKey)
}

func FuzzParseHeartbeat(f *testing.F) {
	f.Add(AppendHeartbeat(nil, fullHeartbeat, heartbeatKey), false)
	f.Add(AppendHeartbeat(nil, fullHeartbeat, heartbeatKey)[:90], true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign && len(b) > 2*heartbeatMAC && len(b) < 1<<15 {
			b = signHeartbeat(b, heartbeatForm)
		}
		h, err := ParseHeartbeat(b, heartbeatKey)
		if err != nil {
			return
		}
		// What a newer peer says of itself is not passed on.
		again, err := ParseHeartbeat(AppendHeartbeat(nil, h, heartbeatKey), heartbeatKey)
		if err != nil || !cmp.Equal(h, again) {
			t.Errorf("parsed %+v, appended and parsed again %+v, %v", h, again, err)
		}
	})
}

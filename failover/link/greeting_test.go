package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/record/recordtest"
	"github.com/warrenvpn/warren/internal/secret"
)

var (
	testKey   = secret.New([]byte("a failover key of tests"))
	testNonce = [greetingNonce]byte{1, 2, 3}
)

func TestGreeting(t *testing.T) {
	for _, name := range []string{"a", "acme", strings.Repeat("x", 64)} {
		b := AppendGreeting(nil, testKey, name, testNonce)
		got, err := ParseGreeting(b, testKey, testNonce)
		if err != nil || got != name {
			t.Errorf("ParseGreeting: got %q, %v, want %q", got, err, name)
		}
		for n := range b {
			if _, err := ParseGreeting(b[:n], testKey, testNonce); !errors.Is(err, ErrGreeting) {
				t.Errorf("prefix of %d bytes: got %v, want %v", n, err, ErrGreeting)
			}
		}
		other := secret.New([]byte("another key of sixteen"))
		if _, err := ParseGreeting(b, other, testNonce); !errors.Is(err, ErrGreetingKey) {
			t.Errorf("another key: got %v, want %v", err, ErrGreetingKey)
		}
		if _, err := ParseGreeting(b, testKey, [greetingNonce]byte{9}); !errors.Is(err, ErrGreetingOld) {
			t.Errorf("recorded: got %v, want %v", err, ErrGreetingOld)
		}
		for i := range b {
			forged := bytes.Clone(b)
			forged[i] ^= 1
			if _, err := ParseGreeting(forged, testKey, testNonce); err == nil {
				t.Errorf("bit of byte %d flipped: it is accepted", i)
			}
		}
	}
}

// TestOlderGreetings reads what older programs sent.
func TestOlderGreetings(t *testing.T) {
	samples := []recordtest.Sample{{Name: "greeting", Bytes: AppendGreeting(nil, testKey, "acme", testNonce)}}
	recordtest.Read(t, samples, func(b []byte) error { _, err := ParseGreeting(b, testKey, testNonce); return err })
}

// TestGreetingSaysMore: a field that this version does not know keeps nobody out.
func TestGreetingSaysMore(t *testing.T) {
	g := greeting{"acme", testNonce}
	body := record.Append(nil, func(f *record.Fields) {
		more := uint64(7)
		g.fields(f)
		record.Number(f, 3, &more)
	})
	b := append([]byte(greetingMagic), 0, 0)
	binary.BigEndian.PutUint16(b[len(greetingMagic):], uint16(len(body)))
	b = append(b, body...)
	name, err := ParseGreeting(append(b, greetingMAC(testKey, b)...), testKey, testNonce)
	if err != nil || name != "acme" {
		t.Errorf("got %q, %v", name, err)
	}
}

func FuzzParseGreeting(f *testing.F) {
	f.Add(AppendGreeting(nil, testKey, "acme", testNonce))
	f.Add([]byte(greetingMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > sha256.Size { // authentic, so that what is behind the code is reached
			signed := len(b) - sha256.Size
			b = append(bytes.Clone(b[:signed]), greetingMAC(testKey, b[:signed])...)
		}
		name, err := ParseGreeting(b, testKey, testNonce)
		if err != nil {
			return
		}
		got, err := ParseGreeting(AppendGreeting(nil, testKey, name, testNonce), testKey, testNonce)
		if err != nil || got != name {
			t.Errorf("greeting for %q: parsed again %q, %v", name, got, err)
		}
	})
}

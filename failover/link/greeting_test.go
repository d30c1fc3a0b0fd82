package link

import (
	"bytes"
	"errors"
	"strings"
	"testing"

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
		if _, err := ParseGreeting(b, secret.New([]byte("another key of sixteen")), testNonce); !errors.Is(err, ErrGreetingKey) {
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

func FuzzParseGreeting(f *testing.F) {
	f.Add(AppendGreeting(nil, testKey, "acme", testNonce))
	f.Add([]byte(greetingMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, err := ParseGreeting(b, testKey, testNonce)
		if err != nil {
			return
		}
		if got := AppendGreeting(nil, testKey, name, testNonce); !bytes.Equal(got, b) {
			t.Errorf("greeting for %q: got %x, want %x", name, got, b)
		}
	})
}

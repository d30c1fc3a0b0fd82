package password

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
)

// TestHash: a hash verifies its password and no other, also when it was written down and
// read.
func TestHash(t *testing.T) {
	h, err := New([]byte("wonderland"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(string(h.Text().Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Hash{h, back} {
		if !x.Verify([]byte("wonderland")) || x.Verify([]byte("Wonderland")) || x.Verify(nil) {
			t.Error("another password is right, or the right one is not")
		}
	}
	if other, _ := New([]byte("wonderland"), rand.Reader); other.Text().Equal(h.Text()) {
		t.Error("a salt is used twice")
	}
	decoy, err := NewDecoy(rand.Reader)
	if err != nil || decoy.Verify([]byte("wonderland")) || decoy.memory != h.memory || decoy.time != h.time {
		t.Errorf("a decoy: %v", err)
	}
	if _, err := NewDecoy(strings.NewReader("short")); err == nil {
		t.Error("a decoy of nothing")
	}
	if _, err := New(nil, strings.NewReader("short")); err == nil {
		t.Error("a salt of nothing")
	}
}

// known is of the tests of the reference implementation, phc-winner-argon2: 2 passes, 64 MiB,
// password "password", salt "somesalt".
const known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestParse(t *testing.T) {
	h, err := Parse(known)
	if err != nil || !h.Verify([]byte("password")) || h.Verify([]byte("passwort")) {
		t.Errorf("a hash of the reference implementation: %v", err)
	}
	if got := h.Text().Reveal(); !bytes.Equal(got, []byte(known)) {
		t.Errorf("became %s", got)
	}
	for _, text := range []string{
		"", "wonderland", known[1:], known + "$", strings.Replace(known, "argon2id", "argon2i", 1),
		strings.Replace(known, "v=19", "v=16", 1), strings.Replace(known, "65536", "65537", 1),
		strings.Replace(known, "65536", "0", 1), strings.Replace(known, "65536", "65536000000", 1),
		strings.Replace(known, "t=2", "t=0", 1), strings.Replace(known, "t=2", "t=17", 1),
		strings.Replace(known, "t=2", "t=02", 1), strings.Replace(known, "p=1", "p=5", 1),
		strings.Replace(known, "p=1", "p=0", 1), strings.Replace(known, "p=1", "p=1,x=2", 1),
		strings.Replace(known, "c29tZXNhbHQ", "c29t", 1), strings.Replace(known, "c29tZXNhbHQ", "c29tZXNhbHQ=", 1),
		known[:len(known)-30], known + "\n",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(known)
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := Parse(text); err == nil && string(h.Text().Reveal()) != text {
			t.Errorf("%q became %q", text, h.Text().Reveal())
		}
	})
}

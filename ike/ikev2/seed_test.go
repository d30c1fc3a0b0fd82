package ikev2

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"github.com/warrenvpn/warren/internal/secret"
)

// TestSeeded: the bytes are those of one long HKDF-Expand, however they are read. Journals
// hold seeds from which other builds have made their exchange.
func TestSeeded(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, seedSize)
	want, err := hkdf.Expand(sha256.New, seed, "warren ikev2 exchange", seededMost)
	if err != nil {
		t.Fatal(err)
	}
	for _, sizes := range [][]int{
		{seededMost}, {32, 32, 66, 512}, {1, 63, 1, 1, 300}, {seededMost - 1, 1}, {0, 64, 64},
	} {
		r, at := seeded(secret.Copy(seed)), 0
		for _, n := range sizes {
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil || !bytes.Equal(b, want[at:at+n]) {
				t.Fatalf("%v: %d bytes at %d: %v", sizes, n, at, err)
			}
			at += n
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(rest, want[at:]) {
			t.Errorf("%v: %d bytes behind %d: %v", sizes, len(rest), at, err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%v: at the end %d, %v", sizes, n, err)
		}
	}
}

// TestSeedCleared: a seed that was cleared never becomes the bytes of no seed.
func TestSeedCleared(t *testing.T) {
	seed := secret.Copy(bytes.Repeat([]byte{7}, seedSize))
	r := seeded(seed)
	seed.Clear()
	defer func() {
		if recover() == nil {
			t.Error("an exchange was made of a cleared seed")
		}
	}()
	r.Read(make([]byte, 32))
}

package sealed

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

var passphrase = []byte("correct horse battery")

func seal(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("it is written to after its end")
	}
	return out.Bytes()
}

func open(b, passphrase []byte) ([]byte, error) {
	r, err := NewReader(iotest.HalfReader(bytes.NewReader(b)), passphrase)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// TestSealed: what was sealed comes back, whatever its length.
func TestSealed(t *testing.T) {
	for _, n := range []int{0, 1, segmentSize - 1, segmentSize, segmentSize + 1, 2 * segmentSize} {
		text := bytes.Repeat([]byte{7}, n)
		b := seal(t, text)
		if got, err := open(b, passphrase); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes come back as %d: %v", n, len(got), err)
		}
	}
}

// TestTampered: nobody changes, reorders or shortens a stream unnoticed.
func TestTampered(t *testing.T) {
	text := bytes.Repeat([]byte{7}, 2*segmentSize+5)
	good := seal(t, text)
	head, segment := len(Magic)+saltSize, segmentSize+16
	swapped := bytes.Clone(good)
	copy(swapped[head:], good[head+segment:head+2*segment])
	copy(swapped[head+segment:], good[head:head+segment])
	flipped := bytes.Clone(good)
	flipped[head+segment+9] ^= 1
	for name, b := range map[string][]byte{
		"flipped": flipped, "swapped": swapped, "shorter": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"without its end": good[:head+2*segment], "one segment": good[:head+segment], "nothing": good[:head],
	} {
		got, err := open(b, passphrase)
		if !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(text, got) {
			t.Errorf("%s: something else was read", name)
		}
	}
	if _, err := open(good, []byte("another passphrase")); !errors.Is(err, ErrOpen) {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := open([]byte("ustar"), passphrase); !errors.Is(err, ErrForm) {
		t.Errorf("another file: %v", err)
	}
	if _, err := NewWriter(io.Discard, []byte("short")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("a short passphrase: %v", err)
	}
}

// TestReadFails: what cannot be read is told as that, and not as a stream that is not
// genuine, also right behind a segment.
func TestReadFails(t *testing.T) {
	good := seal(t, make([]byte, 2*segmentSize))
	head, segment := len(Magic)+saltSize, segmentSize+16
	for _, n := range []int{head, head + 1, head + segment, head + segment + 1, head + 2*segment} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(errDisk)), passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, errDisk) {
			t.Errorf("behind %d bytes: got %v", n, err)
		}
	}
}

var errDisk = errors.New("the disk does not answer")

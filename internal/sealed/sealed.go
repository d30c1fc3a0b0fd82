// Package sealed encrypts a stream of any length with a passphrase, so that whoever does not
// know it can neither read nor change it, nor cut it short unnoticed.
//
// The form: the magic line, 16 bytes of salt, then segments. The key is scrypt (RFC 7914) of
// passphrase and salt. A segment is 64 KiB of the text, the last one less or as much, sealed
// with ChaCha20-Poly1305 (RFC 8439); its nonce is its number and whether it is the last one
// (STREAM, Hoang, Reyhanitabar, Rogaway and Vizar, 2015). No two streams have the same key,
// because each has a salt of its own.
//
// The package does no I/O of its own. It is a leaf.
package sealed

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/scrypt"
)

// Magic begins every stream.
const Magic = "warren sealed 1\n"

const (
	saltSize    = 16
	segmentSize = 64 << 10
	// MinPassphrase is the shortest passphrase in bytes: whoever has the stream can try
	// all that are shorter.
	MinPassphrase = 12
	// The cost of a guess: 32 MiB and a tenth of a second.
	costN, costR, costP = 1 << 15, 8, 1
	// maxSegments is what the counter of a nonce allows: 256 TiB.
	maxSegments = 1<<32 - 1
)

// The errors that callers tell apart.
var (
	// ErrPassphrase is for a passphrase that is too short.
	ErrPassphrase = fmt.Errorf("sealed: a passphrase has at least %d bytes", MinPassphrase)
	// ErrForm is for what was not sealed by this package.
	ErrForm = errors.New("sealed: it was not sealed by this program, or by a later one")
	// ErrOpen is for a wrong passphrase, and for a stream that was changed or cut short.
	ErrOpen = errors.New("sealed: the passphrase is wrong, or somebody has changed it or cut it short")
)

// newCipher makes the cipher of one stream.
func newCipher(passphrase, salt []byte) (cipher.AEAD, error) {
	if len(passphrase) < MinPassphrase {
		return nil, ErrPassphrase
	}
	key, err := scrypt.Key(passphrase, salt, costN, costR, costP, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("sealed: %w", err)
	}
	defer clear(key)
	return chacha20poly1305.New(key)
}

// nonce is that of a segment.
func nonce(number uint64, last bool) []byte {
	n := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(n[3:], number)
	if last {
		n[11] = 1
	}
	return n
}

// writer seals what is written to it.
type writer struct {
	to     io.Writer
	aead   cipher.AEAD
	text   []byte
	number uint64
	err    error
}

// NewWriter returns what seals to w. Close writes the end, without which nobody can open the
// stream, and leaves w open.
func NewWriter(w io.Writer, passphrase []byte) (io.WriteCloser, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	aead, err := newCipher(passphrase, salt)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(append([]byte(Magic), salt...)); err != nil {
		return nil, err
	}
	return &writer{to: w, aead: aead, text: make([]byte, 0, segmentSize)}, nil
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (n int, err error) {
	for len(b) > 0 && w.err == nil {
		if len(w.text) == segmentSize {
			w.seal(false)
		}
		k := min(len(b), segmentSize-len(w.text))
		w.text, b = append(w.text, b[:k]...), b[k:]
		n += k
	}
	return n, w.err
}

// Close implements io.Closer.
func (w *writer) Close() error {
	if w.err == nil {
		w.seal(true)
	}
	err := w.err
	w.err = errors.New("sealed: it is closed")
	return err
}

func (w *writer) seal(last bool) {
	if w.number > maxSegments {
		w.err = errors.New("sealed: the stream is too long")
		return
	}
	_, w.err = w.to.Write(w.aead.Seal(nil, nonce(w.number, last), w.text, nil))
	w.text, w.number = w.text[:0], w.number+1
}

// reader opens a stream.
type reader struct {
	from   *bufio.Reader
	aead   cipher.AEAD
	sealed []byte
	text   []byte // that was not read yet
	number uint64
	last   bool
	err    error
}

// NewReader returns what opens a stream. Nothing is returned before it was found to be
// genuine; where the stream ends early, or is not genuine, the error is ErrOpen.
func NewReader(r io.Reader, passphrase []byte) (io.Reader, error) {
	head := make([]byte, len(Magic)+saltSize)
	if _, err := io.ReadFull(r, head); err != nil || !bytes.HasPrefix(head, []byte(Magic)) {
		return nil, ErrForm
	}
	aead, err := newCipher(passphrase, head[len(Magic):])
	if err != nil {
		return nil, err
	}
	return &reader{from: bufio.NewReader(r), aead: aead, sealed: make([]byte, segmentSize+aead.Overhead())}, nil
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.text) == 0 && r.err == nil {
		r.open()
	}
	if len(r.text) == 0 {
		return 0, r.err
	}
	n := copy(b, r.text)
	r.text = r.text[n:]
	return n, nil
}

// open opens the next segment.
func (r *reader) open() {
	if r.last {
		r.err = io.EOF
		return
	}
	n, err := io.ReadFull(r.from, r.sealed)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		r.last = true
	case err != nil && !errors.Is(err, io.EOF):
		r.err = err
		return
	case err != nil:
		r.err = ErrOpen // the last segment has not come
		return
	default:
		_, err := r.from.Peek(1)
		if r.last = errors.Is(err, io.EOF); err != nil && !r.last {
			r.err = err
			return
		}
	}
	if r.text, err = r.aead.Open(r.sealed[:0:0], nonce(r.number, r.last), r.sealed[:n], nil); err != nil {
		r.text, r.err = nil, ErrOpen
	}
	r.number++
}

// Package password is the form in which passwords of users are kept: Argon2id (RFC 9106), in
// the notation of the PHC, of which nobody learns the password back. The package does no
// I/O; randomness is an argument.
package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/warrenvpn/warren/internal/secret"
)

// Hash is the Argon2id hash of a password, and what it was made with.
type Hash struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	sum     secret.Value
}

// What New makes: RFC 9106 would have more memory, which a context need not have for each
// login. These are the values of OWASP's Password Storage Cheat Sheet.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	threads = 1
	saltLen = 16
	sumLen  = 32
)

// The bounds of Parse: whoever writes a configuration does not take the memory of a worker
// with it.
const (
	maxMemory  = 64 << 10
	maxPasses  = 16
	maxThreads = 4
	minSalt    = 8
	maxSalt    = 64
	minSum     = 16
	maxSum     = 64
)

// New hashes a password, with a salt from rand.
func New(password []byte, rand io.Reader) (*Hash, error) {
	h := &Hash{memory: memory, time: passes, threads: threads, salt: make([]byte, saltLen)}
	if _, err := io.ReadFull(rand, h.salt); err != nil {
		return nil, fmt.Errorf("password: making a salt: %w", err)
	}
	h.sum = secret.New(h.of(password, sumLen))
	return h, nil
}

// NewDecoy returns a hash of no password: to verify one by it takes as long as by New's.
func NewDecoy(rand io.Reader) (*Hash, error) {
	b := make([]byte, saltLen+sumLen)
	if _, err := io.ReadFull(rand, b); err != nil {
		return nil, fmt.Errorf("password: making a decoy: %w", err)
	}
	return &Hash{memory: memory, time: passes, threads: threads, salt: b[:saltLen], sum: secret.New(b[saltLen:])}, nil
}

// of hashes a password as h was made.
func (h *Hash) of(password []byte, length int) []byte {
	return argon2.IDKey(password, h.salt, h.time, h.memory, h.threads, uint32(length))
}

// Verify reports whether password is the one. It takes as long for every other.
func (h *Hash) Verify(password []byte) bool {
	return subtle.ConstantTimeCompare(h.of(password, h.sum.Len()), h.sum.Reveal()) == 1
}

// Text returns "$argon2id$v=19$m=19456,t=2,p=1$salt$hash". It is a secret: who has it can try
// passwords.
func (h *Hash) Text() secret.Value {
	b64 := base64.RawStdEncoding
	return secret.New(fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time,
		h.threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.sum.Reveal())))
}

// ErrForm is the error of a text that is no hash which can be verified.
var ErrForm = errors.New("password: no Argon2id hash of version 19, of at most 64 MiB, 16 passes and 4 threads")

// Parse reads what Text returns, and what other programs write in this notation.
func Parse(text string) (*Hash, error) {
	h := &Hash{}
	parts := strings.Split(text, "$")
	if strings.ContainsAny(text, "\r\n") || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" ||
		parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, ErrForm
	}
	n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads)
	if err != nil || n != 3 || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return nil, ErrForm
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, errSalt := b64.DecodeString(parts[4])
	sum, errSum := b64.DecodeString(parts[5])
	if errSalt != nil || errSum != nil {
		return nil, ErrForm
	}
	h.salt, h.sum = salt, secret.New(sum)
	within := func(n, least, most int) bool { return n >= least && n <= most }
	if !within(int(h.memory), 8*int(h.threads), maxMemory) || !within(int(h.time), 1, maxPasses) ||
		!within(int(h.threads), 1, maxThreads) || !within(len(salt), minSalt, maxSalt) ||
		!within(len(sum), minSum, maxSum) {
		return nil, ErrForm
	}
	return h, nil
}

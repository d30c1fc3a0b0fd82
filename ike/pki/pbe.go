package pki

import (
	"crypto/cipher"
	"crypto/sha1"
	"crypto/x509/pkix"
	"hash"
	"unicode/utf16"
	"unicode/utf8"
)

// Keys of passwords as the older algorithms of PKCS #12 make them (RFC 7292 appendix B).

// pbePurpose says what a key is for, which makes it another one (appendix B.3).
type pbePurpose byte

const (
	pbeKey pbePurpose = iota + 1
	pbeIV
	pbeMAC
)

// bmpPassword returns the password as PKCS #12 has it: UTF-16, and a zero behind it
// (appendix B.1). Callers clear it.
func (r *passwordReader) bmpPassword() ([]byte, error) {
	text := r.password.Reveal()
	if !utf8.Valid(text) {
		return nil, r.problem("needs a password that is text")
	}
	units := append(utf16.Encode([]rune(string(text))), 0)
	defer clear(units)
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = append(out, byte(u>>8), byte(u))
	}
	return out, nil
}

// pbeCipher returns the cipher of an algorithm with SHA-1, whose key has size bytes.
func (r *passwordReader) pbeCipher(a pkix.AlgorithmIdentifier, size int,
	newCipher func(key []byte) (cipher.Block, error)) (cipher.Block, []byte, error) {
	var params pbeParams
	if !unmarshal(a.Parameters.FullBytes, &params) {
		return nil, nil, r.problem("cannot be read: it is damaged")
	}
	key, err := r.derive(sha1.New, params, pbeKey, size)
	if err != nil {
		return nil, nil, err
	}
	defer clear(key)
	block, err := newCipher(key)
	if err != nil {
		return nil, nil, err
	}
	iv, err := r.derive(sha1.New, params, pbeIV, block.BlockSize())
	return block, iv, err
}

// derive makes size bytes of the password, as appendix B.2 says step by step.
func (r *passwordReader) derive(newHash func() hash.Hash, p pbeParams, purpose pbePurpose, size int) ([]byte, error) {
	h := newHash()
	u, v := h.Size(), h.BlockSize()
	blocks := (size + u - 1) / u
	if err := r.spend(p.Iterations, blocks); err != nil {
		return nil, err
	}
	password, err := r.bmpPassword()
	if err != nil {
		return nil, err
	}
	defer clear(password)
	diversifier := make([]byte, v)
	for i := range diversifier {
		diversifier[i] = byte(purpose)
	}
	input := append(repeat(p.Salt, v), repeat(password, v)...)
	defer clear(input)
	var out []byte
	for range blocks {
		h.Reset()
		h.Write(diversifier)
		h.Write(input)
		sum := h.Sum(nil)
		for range p.Iterations - 1 {
			h.Reset()
			h.Write(sum)
			sum = h.Sum(sum[:0])
		}
		out = append(out, sum...)
		b := repeat(sum, v)[:v]
		for at := 0; at < len(input); at += v {
			addPlusOne(input[at:at+v], b)
		}
	}
	return out[:size], nil
}

// repeat returns b over and over until its length is a multiple of v; nothing of nothing.
func repeat(b []byte, v int) []byte {
	if len(b) == 0 {
		return nil
	}
	n := (len(b) + v - 1) / v * v
	out := make([]byte, 0, n)
	for len(out) < n {
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	return out
}

// addPlusOne adds b and 1 to a, which are numbers of one length, and drops what carries.
func addPlusOne(a, b []byte) {
	carry := 1
	for i := len(a) - 1; i >= 0; i-- {
		carry += int(a[i]) + int(b[i])
		a[i] = byte(carry)
		carry >>= 8
	}
}

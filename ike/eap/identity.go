package eap

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the length in bytes of the longest name of a user. RFC 7542 section 2.1: all
// have to take 253.
const MaxName = 253

// ParseIdentity reads what an EAP-Response/Identity says that a client is called (RFC 3748
// section 5.1): what stands before a null byte, in UTF-8 and without what would not be seen.
func ParseIdentity(p Packet) (string, error) {
	if p.Code != Response || p.Type != TypeIdentity {
		return "", ErrPacket
	}
	return parseName(p.Data)
}

// parseName reads the name of a user.
func parseName(b []byte) (string, error) {
	b, _, _ = bytes.Cut(b, []byte{0})
	unseen := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(b) == 0 || len(b) > MaxName || !utf8.Valid(b) || bytes.ContainsFunc(b, unseen) {
		return "", ErrPacket
	}
	return string(b), nil
}

// WithoutDomain returns a name without the domain that stands before it, as Windows writes
// it: CORP\alice is alice.
func WithoutDomain(name string) string { return name[strings.LastIndexByte(name, '\\')+1:] }

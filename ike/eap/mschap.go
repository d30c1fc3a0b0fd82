package eap

import (
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 MSCHAPv2 is made of it

	"github.com/warrenvpn/warren/internal/secret"
)

// The arithmetic of MSCHAPv2 (RFC 2759 section 8), and its keys (RFC 3079 section 3). MD4,
// DES and SHA-1 are what the method is made of; inside an IKE SA with an authentic gateway
// nobody else sees it.

// Sizes in bytes.
const (
	NTHashLen    = md4.Size
	challengeLen = 16
	responseLen  = 24
	msCHAPKeyLen = 16
)

// NTHash returns the MD4 hash of a password in UTF-16LE, which is all that MSCHAPv2 needs
// to know: whoever has it can log in.
func NTHash(password string) secret.Value {
	units := utf16.Encode([]rune(password))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	defer clear(b)
	return secret.New(md4Of(b))
}

func md4Of(b []byte) []byte {
	h := md4.New()
	h.Write(b)
	return h.Sum(nil)
}

// Credentials are what both sides of one MSCHAPv2 exchange know.
type Credentials struct {
	Server [challengeLen]byte // the challenge of the server
	Peer   [challengeLen]byte // and of the client
	Name   string             // of the user; its domain does not count
	NTHash secret.Value       // NTHashLen bytes
}

// challenge is ChallengeHash (RFC 2759 section 8.2).
func (c *Credentials) challenge() []byte {
	h := sha1.New()
	h.Write(c.Peer[:])
	h.Write(c.Server[:])
	h.Write([]byte(WithoutDomain(c.Name)))
	return h.Sum(nil)[:des.BlockSize]
}

// Response is the proof of the client (GenerateNTResponse, RFC 2759 section 8.1).
func (c *Credentials) Response() [responseLen]byte {
	var key [21]byte
	copy(key[:], c.NTHash.Reveal())
	defer clear(key[:])
	challenge := c.challenge()
	var out [responseLen]byte
	for i := range 3 {
		block, err := des.NewCipher(desKey(key[7*i:]))
		if err != nil {
			panic("eap: internal error: " + err.Error())
		}
		block.Encrypt(out[8*i:], challenge)
	}
	return out
}

// desKey makes the key of 56 bits one of 64, in which every eighth is parity.
func desKey(b []byte) []byte {
	var wide [8]byte
	copy(wide[1:], b[:7])
	n := binary.BigEndian.Uint64(wide[:])
	key := make([]byte, des.BlockSize)
	for i := range key {
		key[i] = byte(n>>(49-7*i)) << 1
	}
	return key
}

// The constants of RFC 2759 section 8.7 and RFC 3079 section 3.4.
const (
	magicSign   = "Magic server to client signing constant"
	magicPad    = "Pad to make it do more than one iteration"
	magicMaster = "This is the MPPE Master Key"
	magicClient = "On the client side, this is the send key; on the server side, it is the receive key."
	magicServer = "On the client side, this is the receive key; on the server side, it is the send key."
)

// Authenticator is the proof of the server that answers response, in the text of a Success
// packet (GenerateAuthenticatorResponse, RFC 2759 section 8.7).
func (c *Credentials) Authenticator(response [responseLen]byte) string {
	inner := sha1Of(md4Of(c.NTHash.Reveal()), response[:], []byte(magicSign))
	return "S=" + strings.ToUpper(hex.EncodeToString(sha1Of(inner, c.challenge(), []byte(magicPad))))
}

// MSK is the key of both sides when response was right: what the client sends with, what
// the server sends with, and zeros, in 64 bytes.
func (c *Credentials) MSK(response [responseLen]byte) secret.Value {
	master := sha1Of(md4Of(c.NTHash.Reveal()), response[:], []byte(magicMaster))[:msCHAPKeyLen]
	defer clear(master)
	msk := make([]byte, MSKLen)
	copy(msk, startKey(master, magicClient))
	copy(msk[msCHAPKeyLen:], startKey(master, magicServer))
	return secret.New(msk)
}

// startKey is GetAsymmetricStartKey (RFC 3079 section 3.4).
func startKey(master []byte, magic string) []byte {
	var pad1, pad2 [40]byte
	for i := range pad2 {
		pad2[i] = 0xf2
	}
	return sha1Of(master, pad1[:], []byte(magic), pad2[:])[:msCHAPKeyLen]
}

func sha1Of(parts ...[]byte) []byte {
	h := sha1.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// matches reports whether response is that of the client, in a time that does not depend on
// it.
func (c *Credentials) matches(response [responseLen]byte) bool {
	want := c.Response()
	return subtle.ConstantTimeCompare(want[:], response[:]) == 1
}

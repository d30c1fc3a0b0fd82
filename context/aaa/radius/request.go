package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"errors"
	"io"

	"github.com/warrenvpn/warren/internal/secret"
)

// Request is what servers are asked about one login: an Access-Request without what is
// of one server alone. It has at most one of EAP, Password and MSCHAPv2.
type Request struct {
	// Attributes say who asks and about whom. State, EAP-Message, Message-Authenticator
	// and what proves the password are not among them.
	Attributes Attributes
	State      []byte // of the Access-Challenge that this answers; empty: a login begins

	EAP      []byte       // an EAP packet of the client (RFC 3579)
	Password secret.Value // PAP (RFC 2865 section 5.2), at most MaxPassword octets
	MSCHAPv2 *MSCHAPv2    // RFC 2548; nil: none
}

// MaxPassword is the length of the longest password that PAP carries, in octets.
const MaxPassword = 128

// MSCHAPv2 is what a client says about the challenge that it was given (RFC 2759).
type MSCHAPv2 struct {
	Identifier    uint8    // of the message that the response is from
	Challenge     [16]byte // ours
	PeerChallenge [16]byte
	NTResponse    [24]byte
}

// errPassword is why a request cannot be sent.
var errPassword = errors.New("radius: the password is longer than 128 octets")

// call is a Request as it was sent to one server: what its answer is verified with.
type call struct {
	identifier    uint8
	authenticator [authenticatorSize]byte
	key           secret.Value
	eap           bool
	packet        []byte // the same octets for every transmission
}

// newCall makes the packet of r for a server that shares key with us.
func newCall(r *Request, identifier uint8, key secret.Value, rand io.Reader) (*call, error) {
	c := &call{identifier: identifier, key: key, eap: len(r.EAP) > 0}
	if _, err := io.ReadFull(rand, c.authenticator[:]); err != nil {
		return nil, err
	}
	p := Packet{Code: AccessRequest, Identifier: identifier, Authenticator: c.authenticator}
	a := &p.Attributes
	err := errors.Join(
		a.Add(TypeMessageAuthenticator, make([]byte, md5.Size)), // the first one: its place is known
		a.Append(r.Attributes),
		a.Add(TypeState, r.State),
		a.Split(TypeEAPMessage, r.EAP),
		c.addPassword(a, r.Password),
		a.addMSCHAPv2(r.MSCHAPv2),
	)
	if err != nil {
		return nil, err
	}
	c.packet = p.Append(nil)
	copy(c.packet[headerSize+2:], sign(c.packet, key))
	return c, nil
}

// Append appends all attributes of b.
func (a *Attributes) Append(b Attributes) error {
	if headerSize+len(a.raw)+len(b.raw) > MaxPacket {
		return errFull
	}
	a.raw = append(a.raw, b.raw...)
	return nil
}

// sign returns the Message-Authenticator of a packet in which its value is zero
// (RFC 3579 section 3.2).
func sign(packet []byte, key secret.Value) []byte {
	h := hmac.New(md5.New, key.Reveal())
	h.Write(packet)
	return h.Sum(nil)
}

// addPassword appends a User-Password (RFC 2865 section 5.2): padded with zeros to blocks
// of 16 octets, each of which is hidden by a hash of the key and the block before it.
func (c *call) addPassword(a *Attributes, password secret.Value) error {
	switch n := password.Len(); {
	case n == 0:
		return nil
	case n > MaxPassword:
		return errPassword
	}
	hidden := make([]byte, (password.Len()+md5.Size-1)/md5.Size*md5.Size)
	copy(hidden, password.Reveal())
	before := c.authenticator[:]
	for i := 0; i < len(hidden); i += md5.Size {
		block := hidden[i : i+md5.Size]
		subtle.XORBytes(block, block, chain(c.key, before))
		before = block
	}
	return a.Add(TypeUserPassword, hidden)
}

// chain is the hash that hides one block of a value (RFC 2865 section 5.2, RFC 2548
// section 2.4.2).
func chain(key secret.Value, before ...[]byte) []byte {
	h := md5.New()
	h.Write(key.Reveal())
	for _, b := range before {
		h.Write(b)
	}
	return h.Sum(nil)
}

// The attributes of Microsoft for MS-CHAPv2 (RFC 2548 section 2.1 and 2.3).
const (
	msCHAPError     uint8 = 2
	msCHAPChallenge uint8 = 11
	msCHAP2Response uint8 = 25
	msCHAP2Success  uint8 = 26
)

// addMSCHAPv2 appends MS-CHAP-Challenge and MS-CHAP2-Response; nothing for nil.
func (a *Attributes) addMSCHAPv2(m *MSCHAPv2) error {
	if m == nil {
		return nil
	}
	response := make([]byte, 0, 50)
	response = append(response, m.Identifier, 0) // flags: reserved
	response = append(response, m.PeerChallenge[:]...)
	response = append(response, make([]byte, 8)...) // reserved
	response = append(response, m.NTResponse[:]...)
	return errors.Join(a.addVendor(vendorMicrosoft, msCHAPChallenge, m.Challenge[:]),
		a.addVendor(vendorMicrosoft, msCHAP2Response, response))
}

// MSCHAPv2Success returns the text that proves the server to the client, "S=" and 40
// hexadecimal digits, from an Access-Accept (RFC 2548 section 2.3.3).
func MSCHAPv2Success(a Attributes) (text string, ok bool) {
	v, ok := a.findVendor(vendorMicrosoft, msCHAP2Success)
	if !ok || len(v) != 1+2+2*sha1.Size {
		return "", false
	}
	return string(v[1:]), true
}

// MSCHAPError returns what an Access-Reject says to the client, such as "E=691 R=0 ..."
// (RFC 2548 section 2.1.5).
func MSCHAPError(a Attributes) (text string, ok bool) {
	v, ok := a.findVendor(vendorMicrosoft, msCHAPError)
	if !ok || len(v) < 1 {
		return "", false
	}
	return string(v[1:]), true
}

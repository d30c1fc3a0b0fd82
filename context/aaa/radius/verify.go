package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"errors"
)

// Why an answer does not count. Nothing that it says has been looked at.
var (
	// errForged: the Response Authenticator or the Message-Authenticator is not what the
	// key makes it. The server has another key, or somebody else has sent it.
	errForged = errors.New("radius: answer does not verify")
	// errOther: it answers no request that is outstanding.
	errOther = errors.New("radius: answer to another request")
	// errUnsigned: it lets somebody in, or goes on with it, without a
	// Message-Authenticator.
	errUnsigned = errors.New("radius: answer without Message-Authenticator")
	// errCode: it is authentic, and no answer to an Access-Request.
	errCode = errors.New("radius: answer with a code that answers no Access-Request")
)

// verify reads the answer to the call: it is of a server that has the key, and to this
// very request (RFC 2865 section 3, RFC 3579 section 3.2). An Access-Reject needs no
// Message-Authenticator: FreeRADIUS 3.2.1 sends an empty one where a conversation is lost, and
// nobody comes in by it. All others need one, wherever it stands among the attributes,
// unless lenient says that no EAP is asked about and the server is known to send none.
func (c *call) verify(b []byte, lenient bool) (Packet, error) {
	p, err := ParsePacket(b)
	if err != nil {
		return Packet{}, err
	}
	if p.Identifier != c.identifier {
		return Packet{}, errOther
	}
	// The packet as it was before it was signed: with the authenticator of the request.
	plain := p
	plain.Authenticator = c.authenticator
	octets := plain.Append(nil)
	want := md5.New()
	want.Write(octets)
	want.Write(c.key.Reveal())
	if subtle.ConstantTimeCompare(want.Sum(nil), p.Authenticator[:]) != 1 {
		return Packet{}, errForged
	}
	signed, err := c.signed(octets)
	switch {
	case err != nil:
		return Packet{}, err
	case p.Code != AccessAccept && p.Code != AccessReject && p.Code != AccessChallenge:
		return Packet{}, errCode
	case !signed && p.Code != AccessReject && (c.eap || !lenient):
		return p, errUnsigned
	}
	return p, nil
}

// signed says whether a packet with well-formed attributes has a Message-Authenticator.
// One that is wrong, or of which there are two, is an error. It changes octets.
func (c *call) signed(octets []byte) (bool, error) {
	var value []byte
	for rest := octets[headerSize:]; len(rest) > 0; rest = rest[rest[1]:] {
		if Type(rest[0]) != TypeMessageAuthenticator {
			continue
		}
		if value != nil || int(rest[1]) != 2+md5.Size {
			return false, errForged
		}
		value = rest[2:rest[1]]
	}
	if value == nil {
		return false, nil
	}
	got := [md5.Size]byte(value)
	clear(value)
	if !hmac.Equal(sign(octets, c.key), got[:]) {
		return false, errForged
	}
	return true, nil
}

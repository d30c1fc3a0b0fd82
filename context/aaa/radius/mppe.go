package radius

import (
	"crypto/md5"
	"crypto/subtle"
	"errors"

	"github.com/warrenvpn/warren/internal/secret"
)

// The attributes of Microsoft that carry keys (RFC 2548 section 2.4).
const (
	msMPPESendKey uint8 = 16
	msMPPERecvKey uint8 = 17
)

// mskSize is the size of an MSK in octets (RFC 3748 section 7.10), and mskHalf how much of
// it one attribute has.
const (
	mskSize = 64
	mskHalf = mskSize / 2
)

// errKey: an attribute that should carry a key does not.
var errKey = errors.New("radius: MS-MPPE key is malformed")

// msk returns the MSK that an Access-Accept carries: MS-MPPE-Recv-Key, then
// MS-MPPE-Send-Key, then zeros up to 64 octets. FreeRADIUS gives 16 octets each for
// EAP-MSCHAPv2, and clients pad alike. Empty: the method derives none.
func (c *call) msk(a Attributes) (secret.Value, error) {
	recv, hasRecv := a.findVendor(vendorMicrosoft, msMPPERecvKey)
	send, hasSend := a.findVendor(vendorMicrosoft, msMPPESendKey)
	switch {
	case !hasRecv && !hasSend:
		return secret.Value{}, nil
	case !hasRecv || !hasSend:
		return secret.Value{}, errKey
	}
	msk := make([]byte, 0, mskSize)
	for _, hidden := range [][]byte{recv, send} {
		key, err := c.mppeKey(hidden)
		if err != nil {
			clear(msk)
			return secret.Value{}, err
		}
		msk = append(msk, key...)
		clear(key)
	}
	return secret.New(msk[:mskSize]), nil
}

// mppeKey returns the key in the value of an attribute: a salt of two octets, then blocks of 16
// that are hidden by hashes, in which are the length of the key, the key, and padding
// (RFC 2548 section 2.4.2). At most half an MSK is a key.
func (c *call) mppeKey(value []byte) ([]byte, error) {
	if len(value) < 2+md5.Size || (len(value)-2)%md5.Size != 0 {
		return nil, errKey
	}
	salt, hidden := value[:2], value[2:]
	plain := make([]byte, len(hidden))
	before := [][]byte{c.authenticator[:], salt}
	for i := 0; i < len(hidden); i += md5.Size {
		subtle.XORBytes(plain[i:], hidden[i:i+md5.Size], chain(c.key, before...))
		before = [][]byte{hidden[i : i+md5.Size]}
	}
	n := int(plain[0])
	if n == 0 || n > mskHalf || n >= len(plain) {
		clear(plain)
		return nil, errKey
	}
	return plain[1 : 1+n], nil
}

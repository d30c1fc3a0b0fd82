// Package radiustest answers Access-Requests as a RADIUS server does (RFC 2865, RFC 3579),
// in tests, and as servers should not. It is written apart from package radius, so that a
// mistake there is not made here, too; attributes alone are taken apart with its help.
package radiustest

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"

	"github.com/warrenvpn/warren/context/aaa/radius"
)

// Answer is what a server says.
type Answer struct {
	Code       radius.Code
	Attributes []byte // in the form that they have in a packet
	Unsigned   bool   // without a Message-Authenticator
	SignedLast bool   // with it behind the other attributes, as FreeRADIUS 3.2.1 has it
}

// Reply returns the packet with which a server that has key answers request.
func Reply(request []byte, key string, a Answer) []byte {
	empty := append([]byte{byte(radius.TypeMessageAuthenticator), 18}, make([]byte, md5.Size)...)
	attributes, at := a.Attributes, -1
	switch {
	case a.Unsigned:
	case a.SignedLast:
		at = len(attributes) + 2
		attributes = append(bytes.Clone(attributes), empty...)
	default:
		at = 2
		attributes = append(empty, attributes...)
	}
	b := []byte{byte(a.Code), request[1]}
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(attributes)))
	b = append(b, request[4:20]...)
	b = append(b, attributes...)
	if at >= 0 {
		mac := hmac.New(md5.New, []byte(key))
		mac.Write(b)
		copy(b[20+at:], mac.Sum(nil))
	}
	sum := md5.Sum(append(bytes.Clone(b), key...))
	copy(b[4:20], sum[:])
	return b
}

// Signed says whether request has a Message-Authenticator that was made with key, before
// all other attributes.
func Signed(request []byte, key string) bool {
	if len(request) < 38 || request[20] != byte(radius.TypeMessageAuthenticator) || request[21] != 18 {
		return false
	}
	plain := bytes.Clone(request)
	clear(plain[22:38])
	mac := hmac.New(md5.New, []byte(key))
	mac.Write(plain)
	return bytes.Equal(mac.Sum(nil), request[22:38])
}

// Attribute returns an attribute as a packet has it.
func Attribute(t radius.Type, value []byte) []byte {
	return append([]byte{byte(t), byte(2 + len(value))}, value...)
}

// Vendor returns an attribute of a vendor as a packet has it.
func Vendor(vendor uint32, t uint8, value []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, vendor)
	b = append(b, t, byte(2+len(value)))
	return Attribute(radius.TypeVendorSpecific, append(b, value...))
}

// Keys returns the attributes with which a server hands over the halves of an MSK, each of at most
// 32 octets (RFC 2548 section 2.4).
func Keys(request []byte, key string, recv, send []byte) []byte {
	return append(Vendor(311, 17, hide(request, key, 0x8001, recv)),
		Vendor(311, 16, hide(request, key, 0x8002, send))...)
}

// hide hides a key.
func hide(request []byte, key string, salt uint16, plain []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, salt)
	before := append(bytes.Clone(request[4:20]), b...)
	plain = append([]byte{byte(len(plain))}, plain...)
	for len(plain)%16 != 0 {
		plain = append(plain, 0)
	}
	for ; len(plain) > 0; plain = plain[16:] {
		sum := md5.Sum(append([]byte(key), before...))
		for i := range sum {
			sum[i] ^= plain[i]
		}
		b = append(b, sum[:]...)
		before = sum[:]
	}
	return b
}

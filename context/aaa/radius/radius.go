// Package radius is the client's side of RADIUS (RFC 2865): the codec of its packets and
// attributes, and the state machine that gets a request answered by one of several
// servers. It has what VPN gateways need: Access-Request with EAP (RFC 3579), PAP and
// MS-CHAPv2 (RFC 2548), keys for the MSK, and what an Access-Accept says about a
// session; no accounting and no change of authorization.
//
// Every Access-Request carries a Message-Authenticator before all other attributes, and
// an answer that lets somebody in without one is refused: MD5 over a prefix that others
// choose can be forged (CVE-2024-3596). Packets of a server are looked at only when they
// are authentic; until then nothing but their length and the form of their attributes is.
//
// The package does no I/O, reads no clock and starts no goroutine. Nothing here may be
// called by several goroutines at once.
package radius

import "fmt"

// The sizes of RFC 2865, section 3 and 5, in octets.
const (
	headerSize        = 20
	authenticatorSize = 16
	// MaxPacket is the size of the largest packet.
	MaxPacket = 4096
	// MaxValue is the size of the longest value of one attribute.
	MaxValue = 253
)

// Code says what a packet is (RFC 2865 section 4).
type Code uint8

// The codes that a client for logins sends or gets.
const (
	AccessRequest   Code = 1
	AccessAccept    Code = 2
	AccessReject    Code = 3
	AccessChallenge Code = 11
	StatusServer    Code = 12 // RFC 5997
)

// String implements fmt.Stringer.
func (c Code) String() string {
	switch c {
	case AccessRequest:
		return "Access-Request"
	case AccessAccept:
		return "Access-Accept"
	case AccessReject:
		return "Access-Reject"
	case AccessChallenge:
		return "Access-Challenge"
	case StatusServer:
		return "Status-Server"
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Type is the type of an attribute (RFC 2865 section 5).
type Type uint8

// The attributes that are sent or understood, with the RFC where it is not 2865.
const (
	TypeUserName             Type = 1
	TypeUserPassword         Type = 2
	TypeNASIPAddress         Type = 4
	TypeNASPort              Type = 5
	TypeServiceType          Type = 6
	TypeFramedIPAddress      Type = 8
	TypeFramedIPNetmask      Type = 9
	TypeFilterID             Type = 11
	TypeReplyMessage         Type = 18
	TypeState                Type = 24
	TypeClass                Type = 25
	TypeVendorSpecific       Type = 26
	TypeSessionTimeout       Type = 27
	TypeIdleTimeout          Type = 28
	TypeCalledStationID      Type = 30
	TypeCallingStationID     Type = 31
	TypeNASIdentifier        Type = 32
	TypeProxyState           Type = 33
	TypeAcctSessionID        Type = 44 // RFC 2866
	TypeNASPortType          Type = 61
	TypeEAPMessage           Type = 79  // RFC 3579
	TypeMessageAuthenticator Type = 80  // RFC 3579
	TypeNASPortID            Type = 87  // RFC 2869
	TypeFramedPool           Type = 88  // RFC 2869
	TypeNASIPv6Address       Type = 95  // RFC 3162
	TypeFramedIPv6Prefix     Type = 97  // RFC 3162
	TypeFramedIPv6Pool       Type = 100 // RFC 3162
	TypeFramedIPv6Address    Type = 168 // RFC 6911
	TypeDNSServerIPv6Address Type = 169 // RFC 6911
)

// The values of Service-Type and NAS-Port-Type that say what we are.
const (
	serviceFramed   = 2
	portTypeVirtual = 5
)

// Vendors are the numbers of organizations (RFC 2865 section 5.26) whose attributes are
// understood.
const (
	vendorMicrosoft uint32 = 311  // RFC 2548
	vendorAppliance uint32 = 3076 // of the appliance's own attributes
)

package wire

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
)

// CPType says what a configuration payload does (RFC 7296 section 3.15).
type CPType uint8

// The configuration payload types.
const (
	CPRequest CPType = 1
	CPReply   CPType = 2
	CPSet     CPType = 3
	CPAck     CPType = 4
)

var cpNames = map[CPType]string{CPRequest: "CFG_REQUEST", CPReply: "CFG_REPLY", CPSet: "CFG_SET", CPAck: "CFG_ACK"}

// String returns the name of the registry.
func (t CPType) String() string { return name(cpNames, t, "configuration type") }

// AttributeType is the kind of a configuration attribute.
type AttributeType uint16

// The configuration attributes of the IANA registry that matter to a gateway.
const (
	InternalIP4Address  AttributeType = 1
	InternalIP4Netmask  AttributeType = 2
	InternalIP4DNS      AttributeType = 3
	InternalIP4NBNS     AttributeType = 4
	InternalIP4DHCP     AttributeType = 6
	ApplicationVersion  AttributeType = 7
	InternalIP6Address  AttributeType = 8
	InternalIP6DNS      AttributeType = 10
	InternalIP6DHCP     AttributeType = 12
	InternalIP4Subnet   AttributeType = 13
	SupportedAttributes AttributeType = 14
	InternalIP6Subnet   AttributeType = 15
	InternalIP6Link     AttributeType = 17
	InternalIP6Prefix   AttributeType = 18
	PCSCFIP4Address     AttributeType = 20
	PCSCFIP6Address     AttributeType = 21
	InternalDNSDomain   AttributeType = 25 // RFC 8598
	InternalDNSSECTA    AttributeType = 26 // RFC 8598
)

var attributeNames = map[AttributeType]string{
	InternalIP4Address: "INTERNAL_IP4_ADDRESS", InternalIP4Netmask: "INTERNAL_IP4_NETMASK",
	InternalIP4DNS: "INTERNAL_IP4_DNS", InternalIP4NBNS: "INTERNAL_IP4_NBNS", InternalIP4DHCP: "INTERNAL_IP4_DHCP",
	ApplicationVersion: "APPLICATION_VERSION", InternalIP6Address: "INTERNAL_IP6_ADDRESS",
	InternalIP6DNS: "INTERNAL_IP6_DNS", InternalIP6DHCP: "INTERNAL_IP6_DHCP", InternalIP4Subnet: "INTERNAL_IP4_SUBNET",
	SupportedAttributes: "SUPPORTED_ATTRIBUTES", InternalIP6Subnet: "INTERNAL_IP6_SUBNET",
	InternalIP6Link: "INTERNAL_IP6_LINK", InternalIP6Prefix: "INTERNAL_IP6_PREFIX",
	PCSCFIP4Address: "P_CSCF_IP4_ADDRESS", PCSCFIP6Address: "P_CSCF_IP6_ADDRESS",
	InternalDNSDomain: "INTERNAL_DNS_DOMAIN", InternalDNSSECTA: "INTERNAL_DNSSEC_TA",
}

// String returns the name of the registry.
func (t AttributeType) String() string { return name(attributeNames, t, "attribute") }

// reservedAttributeBit is ignored when received (RFC 7296 section 3.15.1).
const reservedAttributeBit = 0x8000

// CP is a configuration payload.
type CP struct {
	Type       CPType
	Attributes []Attribute
}

// Attribute is one configuration attribute. An empty Value in a request asks
// for any value.
type Attribute struct {
	Type  AttributeType
	Value []byte
}

// PayloadType implements Payload.
func (CP) PayloadType() PayloadType { return TypeCP }

// ParseCP reads the body of a CP payload. The Values of the attributes named
// above have one of the lengths that RFC 7296 section 3.15.1 allows.
func ParseCP(b []byte) (CP, error) {
	if len(b) < 4 {
		return CP{}, syntax(TypeCP, "truncated")
	}
	p := CP{Type: CPType(b[0])}
	for s := cryptobyte.String(b[4:]); !s.Empty(); {
		var kind uint16
		var value cryptobyte.String
		if !s.ReadUint16(&kind) || !s.ReadUint16LengthPrefixed(&value) {
			return CP{}, syntax(TypeCP, "attribute truncated")
		}
		if len(p.Attributes) == MaxAttributes {
			return CP{}, syntax(TypeCP, "too many attributes")
		}
		a := Attribute{Type: AttributeType(kind &^ reservedAttributeBit)}
		if len(value) > 0 {
			a.Value = value
		}
		if !a.validLength() {
			return CP{}, syntax(TypeCP, a.Type.String()+" of a wrong length")
		}
		p.Attributes = append(p.Attributes, a)
	}
	return p, nil
}

// validLength reports whether the value has a length that its type allows. An
// IPv6 address carries its prefix length; some peers leave it out.
func (a Attribute) validLength() bool {
	n := len(a.Value)
	switch a.Type {
	case InternalIP4Address, InternalIP4Netmask, InternalIP4DNS, InternalIP4NBNS, InternalIP4DHCP, PCSCFIP4Address:
		return n == 0 || n == 4
	case InternalIP6Address:
		return n == 0 || n == 16 || n == 17
	case InternalIP6DNS, InternalIP6DHCP, PCSCFIP6Address:
		return n == 0 || n == 16
	case InternalIP4Subnet:
		return n == 0 || n == 8
	case InternalIP6Subnet, InternalIP6Prefix:
		return n == 0 || n == 17
	case SupportedAttributes:
		return n%2 == 0
	}
	return true
}

// AppendBody implements Payload.
func (p CP) AppendBody(b []byte) []byte {
	b = append(b, byte(p.Type), 0, 0, 0)
	for _, a := range p.Attributes {
		b = binary.BigEndian.AppendUint16(b, uint16(a.Type))
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.Value)))
		b = append(b, a.Value...)
	}
	return b
}

// Find returns the first attribute of type t.
func (p CP) Find(t AttributeType) (Attribute, bool) {
	for _, a := range p.Attributes {
		if a.Type == t {
			return a, true
		}
	}
	return Attribute{}, false
}

// Addr returns the address at the start of the value; invalid: there is none.
func (a Attribute) Addr() netip.Addr {
	n := 4
	if len(a.Value) >= 16 {
		n = 16
	}
	if len(a.Value) < n {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(a.Value[:n])
	return addr
}

// Prefix returns the network of a subnet attribute, and false where the value
// is none.
func (a Attribute) Prefix() (netip.Prefix, bool) {
	switch len(a.Value) {
	case 8:
		mask := binary.BigEndian.Uint32(a.Value[4:])
		bits := 0
		for m := mask; m&0x80000000 != 0; m <<= 1 {
			bits++
		}
		if mask != ^uint32(0)<<(32-bits) {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a.Addr(), bits).Masked(), true
	case 17:
		p := netip.PrefixFrom(a.Addr(), int(a.Value[16]))
		return p.Masked(), p.IsValid()
	}
	return netip.Prefix{}, false
}

// AddrAttribute returns the attribute of type t that holds a and nothing else; for
// INTERNAL_IP6_ADDRESS that is IP6AddressAttribute.
func AddrAttribute(t AttributeType, a netip.Addr) Attribute {
	return Attribute{Type: t, Value: a.AsSlice()}
}

// MaskAttribute returns the INTERNAL_IP4_NETMASK of so many bits, 1 to 32.
func MaskAttribute(bits int) Attribute {
	return Attribute{Type: InternalIP4Netmask, Value: binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-bits))}
}

// IP6AddressAttribute returns the INTERNAL_IP6_ADDRESS that assigns a alone: 16
// octets of address and the prefix length, 128. Peers refuse one of 16 octets.
func IP6AddressAttribute(a netip.Addr) Attribute {
	return PrefixAttribute(InternalIP6Address, netip.PrefixFrom(a, a.BitLen()))
}

// PrefixAttribute returns the attribute of type t that holds p in the form of
// its family: address and mask, or address and prefix length.
func PrefixAttribute(t AttributeType, p netip.Prefix) Attribute {
	v := p.Addr().AsSlice()
	if p.Addr().Is4() {
		v = binary.BigEndian.AppendUint32(v, ^uint32(0)<<(32-p.Bits()))
	} else {
		v = append(v, byte(p.Bits()))
	}
	return Attribute{Type: t, Value: v}
}

package wire

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"

	"github.com/warrenvpn/warren/esp/sa"
)

// The values of the "last substruc" fields, and the Key Length attribute in its
// short form (RFC 7296 sections 3.3.1, 3.3.2 and 3.3.5).
const (
	moreProposals      = 2
	moreTransforms     = 3
	proposalHeaderLen  = 8
	transformHeaderLen = 8
	attributeShort     = 0x8000
	attributeKeyLength = 14
)

// SA is a security association payload: proposals in order of preference
// (RFC 7296 section 3.3).
type SA struct{ Proposals []Proposal }

// Proposal is one proposal: one transform of each type is to be chosen from it.
type Proposal struct {
	Number     uint8
	Protocol   ProtocolID
	SPI        []byte // empty, 4 bytes for ESP and AH, 8 for rekeying an IKE SA
	Transforms sa.Proposal
	// Odd holds, by index into Transforms, the attributes of each transform
	// that has others than one Key Length. Such a transform cannot be chosen
	// (section 3.3.6); its KeyBits is 0.
	Odd map[int][]byte
}

// PayloadType implements Payload.
func (SA) PayloadType() PayloadType { return TypeSA }

// ParseSA reads the body of an SA payload.
func ParseSA(b []byte) (SA, error) {
	var p SA
	s := cryptobyte.String(b)
	for more := true; more; {
		if len(p.Proposals) == MaxProposals {
			return SA{}, syntax(TypeSA, "too many proposals")
		}
		var last, reserved uint8
		var length uint16
		var body []byte
		if !s.ReadUint8(&last) || !s.ReadUint8(&reserved) || !s.ReadUint16(&length) ||
			length < proposalHeaderLen || !s.ReadBytes(&body, int(length)-4) {
			return SA{}, syntax(TypeSA, "proposal truncated")
		}
		if more = last == moreProposals; !more && last != 0 {
			return SA{}, syntax(TypeSA, "bad proposal chain")
		}
		pr, err := parseProposal(body)
		if err != nil {
			return SA{}, err
		}
		p.Proposals = append(p.Proposals, pr)
	}
	if !s.Empty() {
		return SA{}, syntax(TypeSA, "bytes after the last proposal")
	}
	return p, nil
}

// parseProposal reads a proposal from its number on.
func parseProposal(s cryptobyte.String) (Proposal, error) {
	var p Proposal
	var protocol, spiSize, count uint8
	if !s.ReadUint8(&p.Number) || !s.ReadUint8(&protocol) || !s.ReadUint8(&spiSize) ||
		!s.ReadUint8(&count) || !s.ReadBytes(&p.SPI, int(spiSize)) {
		return p, syntax(TypeSA, "proposal truncated")
	}
	if count == 0 || count > MaxTransforms {
		return p, syntax(TypeSA, "no transforms or too many")
	}
	p.Protocol = ProtocolID(protocol)
	if spiSize == 0 {
		p.SPI = nil
	}
	p.Transforms = make(sa.Proposal, 0, count)
	for i := range int(count) {
		if err := p.parseTransform(&s, i == int(count)-1); err != nil {
			return p, err
		}
	}
	if !s.Empty() {
		return p, syntax(TypeSA, "bytes after the last transform")
	}
	return p, nil
}

// parseTransform reads the next transform of the proposal.
func (p *Proposal) parseTransform(s *cryptobyte.String, final bool) error {
	var last, kind, reserved uint8
	var length uint16
	var t sa.Transform
	var attrs []byte
	if !s.ReadUint8(&last) || !s.ReadUint8(&reserved) || !s.ReadUint16(&length) || !s.ReadUint8(&kind) ||
		!s.ReadUint8(&reserved) || !s.ReadUint16(&t.ID) || length < transformHeaderLen ||
		!s.ReadBytes(&attrs, int(length)-transformHeaderLen) {
		return syntax(TypeSA, "transform truncated")
	}
	if final && last != 0 || !final && last != moreTransforms {
		return syntax(TypeSA, "bad transform chain")
	}
	bits, odd, err := parseTransformAttributes(attrs)
	if err != nil {
		return err
	}
	if odd {
		if p.Odd == nil {
			p.Odd = make(map[int][]byte)
		}
		p.Odd[len(p.Transforms)] = attrs
	}
	t.Type, t.KeyBits = sa.TransformType(kind), bits
	p.Transforms = append(p.Transforms, t)
	return nil
}

// parseTransformAttributes returns the key length, or that the attributes are
// anything else than none or one key length.
func parseTransformAttributes(s cryptobyte.String) (bits uint16, odd bool, err error) {
	for n := 0; !s.Empty(); n++ {
		var kind, value uint16
		if !s.ReadUint16(&kind) || !s.ReadUint16(&value) {
			return 0, false, syntax(TypeSA, "transform attribute truncated")
		}
		if kind&attributeShort == 0 && !s.Skip(int(value)) {
			return 0, false, syntax(TypeSA, "transform attribute truncated")
		}
		if n > 0 || kind != attributeShort|attributeKeyLength || value == 0 {
			odd = true
		}
		bits = value
	}
	if odd {
		bits = 0
	}
	return bits, odd, nil
}

// AppendBody implements Payload.
func (p SA) AppendBody(b []byte) []byte {
	for i := range p.Proposals {
		b = p.Proposals[i].append(b, i == len(p.Proposals)-1)
	}
	return b
}

// append appends the proposal. One that has more than 255 transforms or a
// longer SPI is nothing that this package parses or Warren's policies allow.
func (p *Proposal) append(b []byte, last bool) []byte {
	start := len(b)
	b = append(b, moreProposals, 0, 0, 0, p.Number, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	if last {
		b[start] = 0
	}
	b = append(b, p.SPI...)
	for i, t := range p.Transforms {
		at := len(b)
		b = append(b, moreTransforms, 0, 0, 0, byte(t.Type), 0)
		if i == len(p.Transforms)-1 {
			b[at] = 0
		}
		b = binary.BigEndian.AppendUint16(b, t.ID)
		if t.KeyBits != 0 {
			b = binary.BigEndian.AppendUint16(b, attributeShort|attributeKeyLength)
			b = binary.BigEndian.AppendUint16(b, t.KeyBits)
		}
		b = append(b, p.Odd[i]...)
		binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

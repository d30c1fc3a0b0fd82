package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/wire"
)

// Choice is the outcome of a negotiation: exactly one transform of each type,
// those that mean "none" left out.
type Choice struct {
	Policy   int         // index of our policy
	Number   uint8       // number of the peer's proposal
	SPI      []byte      // the SPI in it
	Proposal sa.Proposal // in order of the types

	protocol wire.ProtocolID
	implied  bool // the sequence numbers were not negotiated: 32 bits
}

// Choose selects from what a peer offers (RFC 7296 sections 2.7 and 3.3). Our
// policies decide, first by their order, then by that of their transforms.
// A proposal of the peer counts as a whole: it is passed over when it has
// another protocol or length of SPI, or a type of transform that is unknown or
// from which nothing can be chosen. With an AEAD integrity must be absent or
// offer "none" (RFC 5282 section 8).
//
// Policies for the first child SA must have no key exchange (see Without): an
// IKE_AUTH exchange cannot carry one. Peers that offer one there all the same are
// read WithoutExchange.
func Choose(policies []sa.Proposal, protocol wire.ProtocolID, spiLen int, offered []wire.Proposal) (Choice, bool) {
	for i, policy := range policies {
		for _, o := range offered {
			if o.Protocol != protocol || len(o.SPI) != spiLen {
				continue
			}
			if c, ok := match(policy, &o); ok {
				c.Policy = i
				return c, true
			}
		}
	}
	return Choice{}, false
}

// match selects from one proposal by one policy.
func match(policy sa.Proposal, o *wire.Proposal) (Choice, bool) {
	for _, t := range o.Transforms {
		if t.Type < sa.Encryption || t.Type > sa.Sequence {
			return Choice{}, false
		}
	}
	for _, enc := range policy.OfType(sa.Encryption) {
		if !offers(o, enc) {
			continue
		}
		if c, ok := matchRest(policy, o, enc); ok {
			return c, true
		}
	}
	return Choice{}, false
}

// matchRest selects what goes with the encryption enc.
func matchRest(policy sa.Proposal, o *wire.Proposal, enc sa.Transform) (Choice, bool) {
	c := Choice{Number: o.Number, SPI: o.SPI, protocol: o.Protocol, Proposal: sa.Proposal{enc}}
	known, _ := enc.Lookup()
	for _, kind := range []sa.TransformType{sa.PRF, sa.Integrity, sa.KeyExchange, sa.Sequence} {
		ours := policy.OfType(kind)
		switch {
		case kind == sa.Integrity && known.AEAD:
			ours = nil
		case kind == sa.Sequence && len(ours) == 0 && o.Protocol != wire.ProtocolIKE:
			ours = []sa.Transform{{Type: sa.Sequence, ID: sa.SeqShort}}
		}
		if kind == sa.Sequence && len(o.Transforms.OfType(kind)) == 0 && len(ours) > 0 {
			short := sa.Transform{Type: sa.Sequence, ID: sa.SeqShort}
			if !slices.Contains(ours, short) {
				return Choice{}, false
			}
			c.Proposal, c.implied = append(c.Proposal, short), true
			continue
		}
		t, ok := pick(ours, o, kind)
		if !ok {
			return Choice{}, false
		}
		if t != (sa.Transform{}) {
			c.Proposal = append(c.Proposal, t)
		}
	}
	return c, true
}

// pick returns the first of ours that is offered. Where we want none of a kind
// the zero Transform is right if the peer did not offer that kind or offers
// "none"; "none" exists for integrity and key exchange.
func pick(ours []sa.Transform, o *wire.Proposal, kind sa.TransformType) (sa.Transform, bool) {
	for _, t := range ours {
		if offers(o, t) {
			return t, true
		}
	}
	if len(ours) > 0 {
		return sa.Transform{}, false
	}
	if len(o.Transforms.OfType(kind)) == 0 {
		return sa.Transform{}, true
	}
	none := sa.Transform{Type: kind} // IntegNone and KENone are 0
	return sa.Transform{}, (kind == sa.Integrity || kind == sa.KeyExchange) && offers(o, none)
}

// offers reports whether t is in o, without attributes that we do not know.
func offers(o *wire.Proposal, t sa.Transform) bool {
	for i, u := range o.Transforms {
		if _, odd := o.Odd[i]; u == t && !odd {
			return true
		}
	}
	return false
}

// Answer returns the SA payload of the response, with our SPI.
func (c Choice) Answer(spi []byte) wire.SA {
	t := c.Proposal
	if c.implied {
		t = Without(t, sa.Sequence)
	}
	return wire.SA{Proposals: []wire.Proposal{{Number: c.Number, Protocol: c.protocol, SPI: spi, Transforms: t}}}
}

// Group returns the chosen key exchange; sa.KENone where there is none.
func (c Choice) Group() uint16 { return c.Proposal.One(sa.KeyExchange).ID }

// WrongGroup reports whether the initiator's KE payload guessed another key
// exchange than the chosen one, and the INVALID_KE_PAYLOAD that names that one
// (RFC 7296 section 1.3). have is false where there is no KE payload.
func (c Choice) WrongGroup(ke wire.KE, have bool) (wire.Notify, bool) {
	g := c.Group()
	if have && ke.Group == g || !have && g == sa.KENone {
		return wire.Notify{}, false
	}
	return wire.Notify{Type: wire.InvalidKEPayload, Data: []byte{byte(g >> 8), byte(g)}}, true
}

// Offer returns the SA payload that offers policies, numbered from 1.
func Offer(policies []sa.Proposal, protocol wire.ProtocolID, spi []byte) wire.SA {
	var p wire.SA
	for i, t := range policies {
		p.Proposals = append(p.Proposals, wire.Proposal{
			Number: uint8(i + 1), Protocol: protocol, SPI: spi, Transforms: t,
		})
	}
	return p
}

// CheckAnswer returns what the responder chose from Offer, or an error where it
// is not exactly one transform of each type of one of our policies.
func CheckAnswer(policies []sa.Proposal, protocol wire.ProtocolID, spiLen int, answer wire.SA) (Choice, error) {
	if len(answer.Proposals) != 1 {
		return Choice{}, errors.New("suite: answer is not one proposal")
	}
	p := answer.Proposals[0]
	if p.Number < 1 || int(p.Number) > len(policies) {
		return Choice{}, errors.New("suite: answer has a number that was not offered")
	}
	for kind := sa.Encryption; kind <= sa.Sequence; kind++ {
		if len(p.Transforms.OfType(kind)) > 1 {
			return Choice{}, errors.New("suite: answer has two transforms of one type")
		}
	}
	c, ok := Choose(policies[p.Number-1:p.Number], protocol, spiLen, answer.Proposals)
	if !ok {
		return Choice{}, fmt.Errorf("suite: answer was not offered: %v", p.Transforms)
	}
	c.Policy = int(p.Number) - 1
	return c, nil
}

// WithoutExchange returns what a peer offers for a first child SA without its
// transforms for key exchanges, which mean nothing there (RFC 7296 section 1.2).
func WithoutExchange(offered []wire.Proposal) []wire.Proposal {
	out := make([]wire.Proposal, len(offered))
	for i, o := range offered {
		out[i] = o
		out[i].Transforms, out[i].Odd = nil, nil
		for j, t := range o.Transforms {
			if t.Type == sa.KeyExchange {
				continue
			}
			if odd, is := o.Odd[j]; is {
				if out[i].Odd == nil {
					out[i].Odd = make(map[int][]byte)
				}
				out[i].Odd[len(out[i].Transforms)] = odd
			}
			out[i].Transforms = append(out[i].Transforms, t)
		}
	}
	return out
}

// Without returns p without the transforms of one type.
func Without(p sa.Proposal, kind sa.TransformType) sa.Proposal {
	return slices.DeleteFunc(slices.Clone(p), func(t sa.Transform) bool { return t.Type == kind })
}

// The bounds of what Describe prints: proposals, and transforms of each.
const (
	describeProposals  = 6
	describeTransforms = 12
)

// Describe returns what a peer offers, for the operator.
func Describe(offered []wire.Proposal) string {
	var texts []string
	for i, o := range offered {
		if i == describeProposals {
			texts = append(texts, fmt.Sprintf("and %d more", len(offered)-i))
			break
		}
		text := o.Transforms[:min(len(o.Transforms), describeTransforms)].String()
		if n := len(o.Transforms) - describeTransforms; n > 0 {
			text += fmt.Sprintf("/and %d more", n)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

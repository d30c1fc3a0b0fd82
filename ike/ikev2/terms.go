package ikev2

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
)

// term is one proposal that we offer, with what comes of it when the peer
// chooses it. Whoever offers keeps the terms until the answer: by then the
// configuration may be another one.
type term struct {
	proposal sa.Proposal
	lifetime time.Duration
	bytes    uint64         // of a child SA; 0: no limit
	unknown  record.Unknown // what a newer version wrote beyond it
}

// terms is what one SA payload offers.
type terms []term

// maxTerms bounds the proposals of one offer: their number is one byte.
const maxTerms = 255

// proposals returns the proposals alone.
func (t terms) proposals() []sa.Proposal {
	out := make([]sa.Proposal, len(t))
	for i := range t {
		out[i] = t[i].proposal
	}
	return out
}

// hasGroup reports whether one of the proposals has the key exchange that a peer
// insists on.
func (t terms) hasGroup(group uint16) bool {
	return slices.ContainsFunc(t, func(o term) bool {
		return slices.ContainsFunc(o.proposal.OfType(sa.KeyExchange), func(k sa.Transform) bool {
			return k.ID == group
		})
	})
}

// ikeTerms are the IKE policies.
func (r *Rules) ikeTerms() terms {
	var out terms
	for _, p := range r.Policies {
		out = append(out, term{proposal: p.Proposal, lifetime: p.Lifetime})
	}
	return out
}

// ikeSuccessors are the terms on which an IKE SA with the suite current may be
// rekeyed: see suite.Successors. Empty: the policies have none.
func (r *Rules) ikeSuccessors(current sa.Proposal) terms {
	var out terms
	proposals, from := suite.Successors(r.policies, current)
	for i, p := range proposals {
		out = append(out, term{proposal: p, lifetime: r.Policies[from[i]].Lifetime})
	}
	return out
}

// on returns proposals, which follow those of the entry one by one, as terms.
func (e *entry) on(proposals []sa.Proposal) terms {
	out := make(terms, len(proposals))
	for i, p := range proposals {
		out[i] = term{proposal: p, lifetime: e.Proposals[i].Lifetime, bytes: e.Proposals[i].LifetimeBytes}
	}
	return out
}

// fields lists the fields of the term in a record.
func (t *term) fields(f *record.Fields) {
	f.Keep(&t.unknown)
	proposalFields(f, 1, &t.proposal)
	f.Duration(2, &t.lifetime)
	record.Number(f, 3, &t.bytes)
}

func termsFields(f *record.Fields, tag record.Tag, list *terms) {
	record.List(f, tag, (*[]term)(list), maxTerms, func(f *record.Fields, t *term) { t.fields(f) })
}

// chooseChild selects the proposal. Where an entry has no key exchange, one
// that the peer insists on is accepted if an IKE policy has it: perfect forward
// secrecy costs us nothing but the arithmetic.
func (r *Rules) chooseChild(e *entry, offered []wire.Proposal, first bool) (suite.Choice, bool) {
	if first {
		return suite.Choose(e.first, wire.ProtocolESP, 4, suite.WithoutExchange(offered))
	}
	if c, ok := suite.Choose(e.later, wire.ProtocolESP, 4, offered); ok {
		return c, true
	}
	return suite.Choose(r.extended(e), wire.ProtocolESP, 4, offered)
}

// extended returns the proposals of e, each with the key exchanges of the IKE
// policies where it has none of its own.
func (r *Rules) extended(e *entry) []sa.Proposal {
	var out []sa.Proposal
	for _, p := range e.later {
		if len(p.OfType(sa.KeyExchange)) == 0 {
			p = append(p[:len(p):len(p)], r.groups...)
		}
		out = append(out, p)
	}
	return out
}

// successors returns what is offered for the successor of a pair with a key
// exchange of group.
func (r *Rules) successors(e *entry, group uint16) terms {
	if group == sa.KENone {
		return e.on(e.later)
	}
	return e.on(r.extended(e))
}

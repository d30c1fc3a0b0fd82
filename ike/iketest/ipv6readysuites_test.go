package iketest

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// What the lists of section 1.1.6.1 name and NUT does not have.
var (
	aesCTR  = sa.Transform{Type: sa.Encryption, ID: 13, KeyBits: 128}
	prfXCBC = sa.Transform{Type: sa.PRF, ID: 4}
	xcbc    = sa.Transform{Type: sa.Integrity, ID: 5}
	group24 = sa.Transform{Type: sa.KeyExchange, ID: 24}
)

// manySuites has NUT accept many transforms of each type.
func manySuites(c *exchange.Config) {
	prfs := sa.Proposal{prf256, prf1, prf384, prf512}
	groups := sa.Proposal{x25519, ecp256, ecp384, modp2048}
	integrity := sa.Proposal{hmac256, hmac1, hmac384, hmac512}
	cbc, aead := sa.Proposal{cbc128, cbc256, tripleDES}, sa.Proposal{gcm128, gcm256, chacha}
	c.Policies = []exchange.Policy{{Name: "10", Proposal: slices.Concat(cbc, prfs, integrity, groups)},
		{Name: "20", Proposal: slices.Concat(aead, prfs, groups)}}
	seq := sa.Proposal{seq32, seq64}
	c.Entries[0].Proposals = []exchange.ChildProposal{{Name: "10", Proposal: slices.Concat(cbc, integrity, seq)},
		{Name: "20", Proposal: slices.Concat(aead, seq)}}
}

// ikeSuites: each transform that NUT has is accepted when it is the only one of its type,
// and all messages that follow are protected by what was chosen; one that it does not
// have is refused with NO_PROPOSAL_CHOSEN (RFC 7296 sections 2.7, 2.14, 3.3.2 and 3.14).
func ikeSuites(t *testing.T) {
	for _, p := range []sa.Proposal{
		{cbc128, prf256, hmac256, x25519}, {cbc256, prf256, hmac256, x25519}, {tripleDES, prf256, hmac256, x25519},
		{gcm128, prf256, x25519}, {gcm256, prf256, x25519}, {chacha, prf256, x25519},
		{cbc128, prf1, hmac256, x25519}, {cbc128, prf384, hmac256, x25519}, {cbc128, prf512, hmac256, x25519},
		{cbc128, prf256, hmac1, x25519}, {cbc128, prf256, hmac384, x25519}, {cbc128, prf256, hmac512, x25519},
		{cbc128, prf256, hmac256, ecp256}, {cbc128, prf256, hmac256, ecp384}, {cbc128, prf256, hmac256, modp2048},
	} {
		x := ready(t, manySuites)
		x.IKE, x.Group = []sa.Proposal{p}, p.One(sa.KeyExchange).ID
		x.init()
		if got := x.suite.Proposal(); !slices.Equal(got, p) {
			t.Errorf("%v: the suite is %v", p, got)
		}
		x.has(x.auth(x.wish()))
		x.alive()
	}
	for _, p := range []sa.Proposal{
		{aesCTR, prf256, hmac256, x25519}, {cbc128, prfXCBC, hmac256, x25519}, {cbc128, prf256, xcbc, x25519},
		{cbc128, prf256, hmac256, group24},
	} {
		x := ready(t, manySuites)
		ps := replaced(x.InitPayloads(), suite.Offer([]sa.Proposal{p}, wire.ProtocolIKE, nil))
		x.refusedInit(wire.NoProposalChosen, ps...)
	}
}

// childSuites: the same for the first child SA, which carries packets with what was
// chosen, with sequence numbers of 32 and of 64 bits; what NUT does not have leaves an
// IKE SA without it (RFC 7296 sections 1.2, 2.7, 2.17 and 3.3.2).
func childSuites(t *testing.T) {
	for _, p := range []sa.Proposal{
		{cbc128, hmac256, seq32}, {cbc256, hmac256, seq32}, {tripleDES, hmac256, seq32},
		{gcm128, seq32}, {gcm256, seq32}, {chacha, seq32},
		{cbc128, hmac1, seq32}, {cbc128, hmac384, seq32}, {cbc128, hmac512, seq32},
		{cbc128, hmac256, seq64}, {gcm128, seq64},
	} {
		x := ready(t, manySuites)
		x.init()
		w := x.wish()
		w.offer = []sa.Proposal{p}
		c := x.auth(w)
		if c.In.Encryption != p.One(sa.Encryption) || c.In.Integrity != p.One(sa.Integrity) ||
			c.In.ESN != slices.Contains(p, seq64) {
			t.Errorf("%v: child SA is %+v", p, c)
		}
		x.carry(c).both(c)
	}
	for _, p := range []sa.Proposal{{aesCTR, hmac256, seq32}, {cbc128, xcbc, seq32}} {
		x := ready(t, manySuites)
		x.init()
		w := x.wish()
		w.offer = []sa.Proposal{p}
		x.childless(w, wire.NoProposalChosen)
	}
}

// childless does an IKE_AUTH whose child SA must be refused with want, while the IKE SA
// is established: IDr and AUTH are there, SA, TSi and TSr are not (RFC 7296 section 1.2).
func (x *readyNode) childless(w *wish, want wire.NotifyType) {
	x.t.Helper()
	ps := x.ask(wire.IKEAuth, x.authPayloads(w)...)
	x.authentic(ps)
	if _, ok := ps.Notify(want); !ok || ps.Count(wire.TypeSA)+ps.Count(wire.TypeTSi)+ps.Count(wire.TypeTSr) != 0 {
		x.t.Fatalf("answered with %v, want %v", ps, want)
	}
	x.has()
	if n := len(x.nut.Established()); n != 1 {
		x.t.Errorf("%d IKE SAs", n)
	}
	x.alive()
}

// withoutChild: where NUT does not accept the child SA of IKE_AUTH, the IKE SA stands
// without it, serves, and gets another one with CREATE_CHILD_SA (RFC 7296 sections 1.2 and
// 1.3.1).
func withoutChild(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	w.offer = []sa.Proposal{{cbc256, hmac512, seq64}}
	x.childless(w, wire.NoProposalChosen)
	x.lab.Run(time.Minute)
	x.has(x.create(x.wish()))
	x.alive()
}

// severalOf are proposals with several transforms of each type, of which NUT has one, and
// of which it has all: then its own order decides.
var severalOf = []struct{ offer, want sa.Proposal }{
	{sa.Proposal{aesCTR, cbc128, prfXCBC, prf256, xcbc, hmac256, group24, x25519}, readyIKE},
	{sa.Proposal{tripleDES, cbc256, prf1, prf384, hmac1, hmac384, ecp256, ecp384},
		sa.Proposal{cbc256, prf1, hmac1, ecp256}},
}

// severalTransforms: of several transforms of a type one is accepted, and each type is
// in the answer once (RFC 7296 sections 2.7 and 3.3).
func severalTransforms(t *testing.T) {
	for _, tt := range severalOf {
		x := ready(t, manySuites)
		x.IKE, x.Group = []sa.Proposal{tt.offer}, tt.want.One(sa.KeyExchange).ID
		m := x.init()
		answer, _ := wire.Find[wire.SA](m.Payloads)
		if got := answer.Proposals[0].Transforms; !slices.Equal(got, tt.want) {
			t.Errorf("%v is answered with %v, want %v", tt.offer, got, tt.want)
		}
		x.has(x.auth(x.wish()))
	}
}

// severalProposals: of several proposals one is accepted as a whole, and the answer has
// its number (RFC 7296 sections 2.7 and 3.3).
func severalProposals(t *testing.T) {
	x := ready(t, nil)
	x.IKE = []sa.Proposal{{tripleDES, prf256, hmac256, x25519}, {cbc128, prf1, hmac256, x25519}, readyIKE,
		{gcm256, prf256, x25519}}
	m := x.init()
	if answer, _ := wire.Find[wire.SA](m.Payloads); answer.Proposals[0].Number != 3 {
		t.Errorf("number %d is accepted", answer.Proposals[0].Number)
	}
	x.has(x.auth(x.wish()))
}

// severalOfChild are proposals for a child SA as severalOf are for an IKE SA.
var severalOfChild = []struct{ offer, want sa.Proposal }{
	{sa.Proposal{aesCTR, cbc128, xcbc, hmac256, seq32}, readyESP},
	{sa.Proposal{tripleDES, cbc256, hmac1, hmac384, seq64, seq32}, sa.Proposal{cbc256, hmac1, seq32}},
}

// checkChild compares the algorithms of a child SA with what must be chosen.
func checkChild(t *testing.T, c sa.Child, want sa.Proposal) {
	t.Helper()
	got := sa.Proposal{c.In.Encryption, c.In.Integrity, seq32}
	if c.In.ESN {
		got[2] = seq64
	}
	if !slices.Equal(got, want) {
		t.Errorf("child SA has %v, want %v", got, want)
	}
}

// severalTransformsForChild: the same for the first child SA (RFC 7296 sections 2.7 and
// 3.3).
func severalTransformsForChild(t *testing.T) {
	for _, tt := range severalOfChild {
		x := ready(t, manySuites)
		x.init()
		w := x.wish()
		w.offer = []sa.Proposal{tt.offer}
		checkChild(t, x.auth(w), tt.want)
	}
}

// fourth are proposals for a child SA of which NUT has the fourth.
var fourth = []sa.Proposal{{tripleDES, hmac256, seq32}, {cbc128, hmac1, seq32}, {cbc128, hmac256, seq64}, readyESP}

// severalProposalsForChild: the same for the first child SA (RFC 7296 sections 2.7 and
// 3.3).
func severalProposalsForChild(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	w.offer = fourth
	ps := x.ask(wire.IKEAuth, x.authPayloads(w)...)
	checkChild(t, x.child(w, ps), readyESP)
	if answer, _ := wire.Find[wire.SA](ps); answer.Proposals[0].Number != 4 {
		t.Errorf("number %d is accepted", answer.Proposals[0].Number)
	}
}

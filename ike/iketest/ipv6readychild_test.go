package iketest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// newChild: CREATE_CHILD_SA makes another child SA beside the first one; the response is
// SK {SA, Nr, TSi, TSr}, with a fresh nonce, and both carry packets (RFC 7296 section
// 1.3.1).
func newChild(t *testing.T) {
	x, first := readyUp(t, nil)
	w := x.wish()
	ps := x.ask(wire.CreateChildSA, w.payloads()...)
	second := x.child(w, ps)
	if nonce, _ := wire.Find[wire.Nonce](ps); len(ps) != 4 || bytes.Equal(nonce.Data, x.nr) {
		t.Errorf("answered with %v", ps)
	}
	x.has(first, second)
	c := x.carry(first)
	if spi := c.passes(c.out); spi != first.Out.SPI {
		t.Errorf("TN1 sends with %v", spi)
	}
	c.tn.apply(sa.OpAdd, second, 0)
	c.both(second)
}

// createRepeated: a repeated CREATE_CHILD_SA request gets the same response once more, bit
// for bit, and makes no other child SA (RFC 7296 section 2.1).
func createRepeated(t *testing.T) {
	x, first := readyUp(t, nil)
	w := x.wish()
	request := x.Seal(wire.CreateChildSA, x.next, w.payloads()...)
	x.next++
	answer := x.one(request)
	second := x.child(w, x.open(answer))
	if again := x.one(request); !bytes.Equal(again.raw, answer.raw) {
		t.Error("the repeat is answered otherwise")
	}
	x.has(first, second)
	x.alive()
}

// deleteChildren: one DELETE of several child SAs is answered by that of the other halves
// of all of them, and ends them, but no others (RFC 7296 section 1.4.1).
func deleteChildren(t *testing.T) {
	x, first := readyUp(t, nil)
	second, third := x.create(x.wish()), x.create(x.wish())
	x.deleted(first, third)
	x.has(second)
	x.deleted(second)
	x.has()
	x.alive()
}

// noProposal: a child SA none of whose proposals NUT accepts is refused with
// NO_PROPOSAL_CHOSEN and nothing else; what stands goes on (RFC 7296 sections 1.3 and
// 2.7).
func noProposal(t *testing.T) {
	x, first := readyUp(t, nil)
	w := x.wish()
	w.offer = []sa.Proposal{{tripleDES, hmac256, seq32}, {cbc128, hmac1, seq32}}
	x.refused(wire.CreateChildSA, wire.NoProposalChosen, w.payloads()...)
	w = x.rekeying(first)
	w.offer = []sa.Proposal{{gcm256, seq32}}
	x.refused(wire.CreateChildSA, wire.NoProposalChosen, w.payloads()...)
	x.has(first)
	x.carry(first).both(first)
	x.alive()
}

// closeReplaced: NUT leaves the DELETE of a child SA that TN1 has rekeyed to TN1, and
// answers it with the other half of that one; the successor stays (RFC 7296 sections 1.3.3
// and 2.8).
func closeReplaced(t *testing.T) {
	x, old := readyUp(t, nil)
	successor := x.create(x.rekeying(old))
	x.has(old, successor)
	if len(x.Requests) != 0 {
		t.Errorf("NUT begins something: %v", x.Requests)
	}
	x.deleted(old)
	x.has(successor)
	x.carry(successor).both(successor)
}

// useOfSuccessor: once TN1 has used the successor of a child SA, NUT sends with it, too
// (RFC 7296 section 2.8).
func useOfSuccessor(t *testing.T) {
	x, old := readyUp(t, nil)
	c := x.carry(old)
	c.both(old)
	successor := x.create(x.rekeying(old))
	c.follow()
	c.tn.apply(sa.OpRekey, successor, uint64(old.In.SPI))
	if spi := c.passes(c.out); spi != successor.Out.SPI {
		t.Fatalf("TN1 sends with %v", spi)
	}
	c.settles(successor)
	x.deleted(old)
	c.follow()
	c.both(successor)
}

// useOfOld: until the DELETE NUT takes what TN1 sends with the old child SA, before it has
// heard of the successor and after that (RFC 7296 section 2.8).
func useOfOld(t *testing.T) {
	x, old := readyUp(t, nil)
	c := x.carry(old)
	successor := x.create(x.rekeying(old))
	c.follow()
	c.both(old)
	c.tn.apply(sa.OpRekey, successor, uint64(old.In.SPI))
	c.passes(c.out)
	c.settles(successor)
	c.tn.apply(sa.OpDelete, successor, 0) // TN1 sends with the old one again
	if spi := c.passes(c.out); spi != old.Out.SPI {
		t.Errorf("TN1 sends with %v", spi)
	}
}

// severalTransformsForSuccessor: of several transforms of a type for the successor of a
// child SA one is accepted (RFC 7296 sections 2.7 and 3.3).
func severalTransformsForSuccessor(t *testing.T) {
	x, old := readyUp(t, manySuites)
	for _, tt := range severalOfChild {
		w := x.rekeying(old)
		w.offer = []sa.Proposal{tt.offer}
		next := x.create(w)
		checkChild(t, next, tt.want)
		x.deleted(old)
		x.has(next)
		old = next
	}
}

// severalProposalsForSuccessor: of several proposals one is accepted, and the answer has
// its number (RFC 7296 sections 2.7 and 3.3).
func severalProposalsForSuccessor(t *testing.T) {
	x, old := readyUp(t, nil)
	w := x.rekeying(old)
	w.offer = fourth
	ps := x.ask(wire.CreateChildSA, w.payloads()...)
	checkChild(t, x.child(w, ps), readyESP)
	if answer, _ := wire.Find[wire.SA](ps); answer.Proposals[0].Number != 4 {
		t.Errorf("number %d is accepted", answer.Proposals[0].Number)
	}
}

// pfs are proposals of NUT with a key exchange for each child SA.
var pfs = slices.Concat(readyESP, sa.Proposal{ecp256})

// withForwardSecrecy has NUT want them.
func withForwardSecrecy(c *exchange.Config) { c.Entries[0].Proposals[0].Proposal = pfs }

// forwardSecrecy: a successor with a key exchange of its own has KEr in the response, and
// keys that come of its secret, too (RFC 7296 sections 1.3.3, 2.12 and 2.17).
func forwardSecrecy(t *testing.T) {
	x, old := readyUp(t, withForwardSecrecy)
	w := x.rekeying(old).secure(x, sa.KEECP256)
	w.offer = []sa.Proposal{pfs}
	next := x.create(w)
	x.has(old, next)
	x.deleted(old)
	x.carry(next).both(next)
}

// invalidChildGroup: a guess of another group than the one that NUT chooses for a
// successor is answered with INVALID_KE_PAYLOAD, which names that; what stands goes on,
// and the second try succeeds (RFC 7296 sections 1.3 and 3.10.1).
func invalidChildGroup(t *testing.T) {
	x, old := readyUp(t, withForwardSecrecy)
	w := x.rekeying(old).secure(x, sa.KEX25519)
	w.offer = []sa.Proposal{slices.Concat(readyESP, sa.Proposal{x25519, ecp256})}
	n := x.refused(wire.CreateChildSA, wire.InvalidKEPayload, w.payloads()...)
	if !bytes.Equal(n.Data, []byte{0, byte(sa.KEECP256)}) {
		t.Errorf("data of INVALID_KE_PAYLOAD: %x", n.Data)
	}
	x.has(old)
	x.has(old, x.create(w.secure(x, sa.KEECP256)))
}

// twoChildren: of two child SAs for two hosts each carries the packets of its own, both
// ways, and none did before it was there (RFC 7296 sections 1.3.1 and 2.9; RFC 4301
// section 5.2).
func twoChildren(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	w.tsi = selectorsOf("2001:db8:b::10/128")
	first := x.auth(w)
	lying := first // TN1 sends whatever there is
	lying.Local = tnSide
	c := x.carry(lying)
	c.both(first)
	other := esptest.NewFlow("[2001:db8:b::20]:4000", "[2001:db8:a::10]:7")
	c.dropped(c.tn, c.nut, other, stats.DropSelector)
	c.dropped(c.nut, c.nut, esptest.Flow{Src: other.Dst, Dst: other.Src}, stats.DropClear)
	w = x.wish()
	w.tsi = selectorsOf("2001:db8:b::20/128")
	second := x.create(w)
	x.has(first, second)
	c.follow()
	c.tn.apply(sa.OpDelete, lying, 0)
	c.tn.apply(sa.OpAdd, first, 0)
	c.tn.apply(sa.OpAdd, second, 0)
	c.both(first)
	c.speaks("2001:db8:b::20")
	c.both(second)
}

// tsOf are selectors of prefixes in a payload.
func tsOf(prefixes ...string) wire.TS { return wire.TS{Selectors: selectorsOf(prefixes...)} }

// narrowing: of selectors that are wider than NUT's policy the part that is in it is
// accepted, on both sides (RFC 7296 section 2.9).
func narrowing(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	w.tsi, w.tsr = tsOf("::/0").Selectors, tsOf("2001:db8::/32").Selectors
	c := x.auth(w)
	checkSelectors(t, c, tnSide, nutSide)
	traffic := x.carry(c)
	traffic.both(c)
}

// checkSelectors compares the selectors of a child SA of TN1, in the order in which TN1
// has offered them.
func checkSelectors(t *testing.T, c sa.Child, tn, nut []sa.Selector) {
	t.Helper()
	if !slices.Equal(c.Local, tn) || !slices.Equal(c.Remote, nut) {
		t.Errorf("selectors are %v and %v, want %v and %v", c.Local, c.Remote, tn, nut)
	}
}

// unacceptable: selectors that have nothing in common with NUT's policy are refused with
// TS_UNACCEPTABLE: in IKE_AUTH the IKE SA is made without the child SA, in CREATE_CHILD_SA
// what stands goes on (RFC 7296 sections 1.2, 2.9 and 3.10.1).
func unacceptable(t *testing.T) {
	x := ready(t, nil)
	x.init()
	w := x.wish()
	w.tsr = tsOf("2001:db8:f::/64").Selectors
	x.childless(w, wire.TSUnacceptable)
	w = x.wish()
	w.tsi = tsOf("2001:db8:f::/64").Selectors
	x.refused(wire.CreateChildSA, wire.TSUnacceptable, w.payloads()...)
	w = x.wish()
	w.tsi, w.tsr = tsOf("0.0.0.0/0").Selectors, tsOf("0.0.0.0/0").Selectors
	x.refused(wire.CreateChildSA, wire.TSUnacceptable, w.payloads()...)
	x.has(x.create(x.wish()))
}

// narrowingOfSeveral: of several selectors those are accepted, whole or in part, that are
// in NUT's policy, also where the first one, which a packet has caused, is not among them
// (RFC 7296 section 2.9).
func narrowingOfSeveral(t *testing.T) {
	web := func(s sa.Selector) sa.Selector {
		s.Protocol, s.StartPort, s.EndPort = 6, 80, 80
		return s
	}
	x := ready(t, func(c *exchange.Config) {
		c.Entries[0].LocalTS = selectorsOf("2001:db8:a::/64", "2001:db8:c:1::/64")
	})
	x.init()
	w := x.wish()
	w.tsi = []sa.Selector{web(tnSide[0]), selectorsOf("2001:db8:b::/65")[0], selectorsOf("2001:db8:f::/64")[0]}
	w.tsr = selectorsOf("2001:db8:f::/64", "2001:db8:c::/48", "10.0.0.0/8")
	c := x.auth(w)
	checkSelectors(t, c, w.tsi[:2], selectorsOf("2001:db8:c:1::/64"))
	x.has(c)
}

// invalidSelectors: a packet that comes through a child SA and is outside its selectors is
// dropped and counted; the SAs go on. INVALID_SELECTORS, which a node may send then, is
// not sent: RFC 7296 section 3.10.1 leaves it open, and RFC 4301 section 5.2 wants the
// rest.
func invalidSelectors(t *testing.T) {
	x, c := readyUp(t, nil)
	lying := c // TN1 sends whatever there is
	lying.Local, lying.Remote = tsOf("::/0").Selectors, tsOf("::/0").Selectors
	traffic := x.carry(lying)
	for _, flow := range []esptest.Flow{
		esptest.NewFlow("[2001:db8:f::10]:4000", "[2001:db8:a::10]:7"), // from where TN1 is not
		esptest.NewFlow("[2001:db8:b::10]:4000", "[2001:db8:f::10]:7"), // to where NUT is not
	} {
		traffic.dropped(traffic.tn, traffic.nut, flow, stats.DropSelector)
	}
	traffic.both(c)
	if len(x.Requests) != 0 {
		t.Errorf("NUT says %v", x.Requests)
	}
	x.alive()
}

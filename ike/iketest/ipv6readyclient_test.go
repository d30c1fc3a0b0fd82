package iketest

import (
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// readyLease is the address that NUT gives to a TN1 that asks for one.
var readyLease = netip.MustParseAddr("2001:db8:b::10")

// endNode has TN1 be a host of its own: what NUT protects is its address (RFC 7296
// section 1.1.3 without an address of NUT's).
func endNode(c *exchange.Config) {
	c.Entries[0].RemoteTS = hostSelector(tnAddr)
}

// remoteAccess has NUT serve clients, which ask for an address.
func remoteAccess(c *exchange.Config) {
	c.Profiles[0].RemoteAccess = true
	c.Entries[0] = exchange.Entry{Name: "clients", Dynamic: true, Local: nutAddr, Proposals: c.Entries[0].Proposals}
}

// readyClient is ready for a NUT that serves clients, after IKE_SA_INIT. Who asks for an
// IPv6 address gets readyLease.
func readyClient(t *testing.T) *readyNode {
	t.Helper()
	x := ready(t, remoteAccess)
	x.nut.Authorise = func(q exchange.AskSession) exchange.AnswerSession {
		r := exchange.AnswerSession{Question: q.Question,
			Session: exchange.Session{Split: []netip.Prefix{netip.MustParsePrefix("2001:db8:a::/64")}}}
		if q.WantIPv6 {
			r.Session.Addresses = []netip.Addr{readyLease}
		}
		return r
	}
	x.init()
	return x
}

// addressRequest is the CFG_REQUEST of a client that wants an IPv6 address.
func addressRequest(attributes ...wire.Attribute) wire.CP {
	return wire.CP{Type: wire.CPRequest, Attributes: append([]wire.Attribute{{Type: wire.InternalIP6Address}},
		attributes...)}
}

// clientWish is that of a client, which does not know its address yet.
func (x *readyNode) clientWish() *wish {
	w := x.wish()
	w.tsi = tsOf("::/0").Selectors
	return w
}

// configured checks the one CFG_REPLY of an answer: INTERNAL_IP6_ADDRESS with the lease in
// 17 octets, once (RFC 7296 sections 2.19 and 3.15.1).
func (x *readyNode) configured(ps wire.Payloads) {
	x.t.Helper()
	cp, ok := wire.Find[wire.CP](ps)
	if !ok || ps.Count(wire.TypeCP) != 1 || cp.Type != wire.CPReply {
		x.t.Fatalf("answered with %v", ps)
	}
	n := 0
	for _, a := range cp.Attributes {
		if a.Type != wire.InternalIP6Address {
			continue
		}
		n++
		if p, _ := a.Prefix(); len(a.Value) != 17 || p != netip.PrefixFrom(readyLease, 128) {
			x.t.Errorf("INTERNAL_IP6_ADDRESS is %x", a.Value)
		}
	}
	if n != 1 {
		x.t.Errorf("%d addresses in %v", n, cp)
	}
}

// endNodeAuth: the response to IKE_AUTH of a TN1 that has nothing behind it: its
// selector is its address (RFC 7296 sections 1.2, 2.9 and 2.15).
func endNodeAuth(t *testing.T) {
	x := ready(t, endNode)
	x.init()
	w := x.wish()
	w.tsi = hostSelector(tnAddr)
	checkSelectors(t, x.auth(w), w.tsi, nutSide)
}

// givesAddress: CFG_REQUEST is answered by CFG_REPLY with an address, and TSi is that
// (RFC 7296 sections 2.19 and 3.15).
func givesAddress(t *testing.T) {
	x := readyClient(t)
	w := x.clientWish()
	ps := x.ask(wire.IKEAuth, append(x.authPayloads(w), addressRequest())...)
	x.authentic(ps)
	x.configured(ps)
	checkSelectors(t, x.child(w, ps), hostSelector(readyLease), nutSide)
}

// useOfEndNodeChild: that child SA carries what TN1 itself says (RFC 7296 section 1.1.3).
func useOfEndNodeChild(t *testing.T) {
	x := ready(t, endNode)
	x.init()
	w := x.wish()
	w.tsi = hostSelector(tnAddr)
	c := x.auth(w)
	traffic := x.carry(c)
	traffic.speaks(tnAddr.String())
	traffic.both(c)
}

// severalRequests: a client that asks for two addresses of a family gets as many at most,
// and TSi is what it got: here the one that its session has (RFC 7296 section 3.15.1: "the
// responder MAY only send up to the number of addresses requested"). The specification
// has a NUT that gives two.
func severalRequests(t *testing.T) {
	x := readyClient(t)
	w := x.clientWish()
	two := addressRequest(wire.Attribute{Type: wire.InternalIP6Address})
	ps := x.ask(wire.IKEAuth, append(x.authPayloads(w), two)...)
	x.authentic(ps)
	x.configured(ps)
	c := x.child(w, ps)
	checkSelectors(t, c, hostSelector(readyLease), nutSide)
	x.carry(c).both(c)
}

func hostSelector(a netip.Addr) []sa.Selector {
	return []sa.Selector{sa.SelectorOf(netip.PrefixFrom(a, a.BitLen()))}
}

// useOfClientChild: the child SA of a client carries packets of its address (RFC 7296
// sections 1.1.3 and 2.19).
func useOfClientChild(t *testing.T) {
	x := readyClient(t)
	w := x.clientWish()
	c := x.child(w, x.ask(wire.IKEAuth, append(x.authPayloads(w), addressRequest())...))
	x.carry(c).both(c)
}

// reservedConfig: RESERVED fields of a configuration payload and of its attributes say
// nothing (RFC 7296 sections 2.5, 3.15 and 3.15.1).
func reservedConfig(t *testing.T) {
	x := readyClient(t)
	w := x.clientWish()
	x.id.Reserved = [3]byte{0xff, 0xff, 0xff}
	ps := x.open(x.one(x.sealMarked(wire.IKEAuth, append(x.authPayloads(w), addressRequest(
		wire.Attribute{Type: wire.InternalIP6DNS}))...)))
	x.configured(ps)
	x.has(x.child(w, ps))
}

// noConfig: a client of a gateway that gives addresses, which asks for none, is refused
// with FAILED_CP_REQUIRED, and gets no child SA (RFC 7296 sections 2.19 and 3.10.1).
func noConfig(t *testing.T) {
	x := readyClient(t)
	x.childless(x.clientWish(), wire.FailedCPRequired)
}

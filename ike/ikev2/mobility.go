package ikev2

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// MOBIKE (RFC 4555), as the gateway of clients that move: to another address, to another
// family, behind a NAT or away from one, or to another address of ours. Who has dialled
// decides where the SA is; when that was we: see roaming.go. A client
// says UPDATE_SA_ADDRESSES from where it is now, and everything follows: the IKE SA,
// what is outstanding, and its child SAs. Nothing else moves the SA then, but for
// what only a NAT can have done: see follows. Whatever comes from elsewhere is
// answered there.
//
// With Config.ReturnRoutability the child SAs stay where they are until the peer has
// shown that it gets what is sent to its new address (section 3.7).

// mobility is the Agreement about RFC 4555.
type mobility struct {
	on      bool
	others  []netip.Addr   // further addresses of the peer
	untold  bool           // we have dialled, and are elsewhere than the peer has confirmed
	unknown record.Unknown // what a newer version wrote beyond it; no keys
}

// maxOthers bounds the further addresses of a peer that are remembered.
const maxOthers = 8

// Tag implements Agreement.
func (*mobility) Tag() record.Tag { return 3 }

// Offer implements Agreement.
func (*mobility) Offer(x wire.ExchangeType) []wire.Payload {
	if x != wire.IKEAuth {
		return nil
	}
	return []wire.Payload{wire.Notify{Type: wire.MOBIKESupported}}
}

// Learn implements Agreement.
func (g *mobility) Learn(x wire.ExchangeType, request bool, ps wire.Payloads) (answer []wire.Payload) {
	if x != wire.IKEAuth {
		return nil
	}
	if _, g.on = ps.Notify(wire.MOBIKESupported); !g.on {
		return nil
	}
	g.learnOthers(ps)
	if !request {
		return nil
	}
	return []wire.Payload{wire.Notify{Type: wire.MOBIKESupported}}
}

// learnOthers notes the further addresses of the peer, where a message says something
// of them: then it names all (section 3.6). It reports whether that is so.
func (g *mobility) learnOthers(ps wire.Payloads) (said bool) {
	var others []netip.Addr
	for _, p := range ps {
		n, ok := p.(wire.Notify)
		if !ok {
			continue
		}
		switch n.Type {
		case wire.AdditionalIP4Address, wire.AdditionalIP6Address:
			said = true
			a, ok := netip.AddrFromSlice(n.Data)
			if ok && a.Is4() == (n.Type == wire.AdditionalIP4Address) && reachable(a) && len(others) < maxOthers {
				others = append(others, a)
			}
		case wire.NoAdditionalAddresses:
			said = true
		}
	}
	if said {
		g.others = others
	}
	return said
}

// reachable reports whether a may be the address of one peer.
func reachable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && !a.Is4In6() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Fields implements Agreement.
func (g *mobility) Fields(f *record.Fields) {
	f.Keep(&g.unknown)
	f.Flag(1, &g.on)
	addrsFields(f, 2, &g.others)
	f.Flag(3, &g.untold)
}

// Inherit implements Agreement.
func (g *mobility) Inherit() Agreement {
	return &mobility{on: g.on, others: slices.Clone(g.others), untold: g.untold}
}

// moving is the SA as RFC 4555 sees it.
type moving struct{ sa *SA }

// terms returns the agreement about RFC 4555.
func (v moving) terms() *mobility { return find[*mobility](&v.sa.agreed) }

// on reports whether the peer may move.
func (v moving) on() bool { return v.terms().on }

// addresses are our further addresses, for IKE_AUTH (section 3.4).
func (v moving) addresses() []wire.Payload {
	var ps []wire.Payload
	for _, e := range v.sa.host.Rules().entries[v.sa.entry] {
		if a := e.Local; a.IsValid() && a != v.sa.local.Addr() && len(ps) < maxOthers {
			ps = append(ps, wire.Notify{Type: notifyOf(a), Data: a.AsSlice()})
		}
	}
	if len(ps) == 0 {
		ps = append(ps, wire.Notify{Type: wire.NoAdditionalAddresses})
	}
	return ps
}

// notifyOf returns the type that says that a is a further address.
func notifyOf(a netip.Addr) wire.NotifyType {
	if a.Is4() {
		return wire.AdditionalIP4Address
	}
	return wire.AdditionalIP6Address
}

// translated reports whether a request says that no NAT may be between, and its
// addresses are not those that it came with (section 3.9).
func translated(ps wire.Payloads, from, to netip.AddrPort) bool {
	n, said := ps.Notify(wire.NoNATsAllowed)
	if !said {
		return false
	}
	want := append(from.Addr().Unmap().AsSlice(), to.Addr().Unmap().AsSlice()...)
	want = binary.BigEndian.AppendUint16(want, from.Port())
	want = binary.BigEndian.AppendUint16(want, to.Port())
	return !bytes.Equal(n.Data, want)
}

// serve does what an INFORMATIONAL request says about addresses, and returns what is
// answered (section 3.5).
func (v moving) serve(now time.Time, ps wire.Payloads, out *exchange.Output) (answer []wire.Payload) {
	if !v.on() {
		return nil
	}
	s := v.sa
	if n, ok := ps.Notify(wire.Cookie2); ok && len(n.Data) >= 8 && len(n.Data) <= 64 {
		answer = append(answer, wire.Notify{Type: wire.Cookie2, Data: bytes.Clone(n.Data)})
	}
	here := path{local: s.asker.Local, remote: s.asker.Remote}
	if translated(ps, here.remote, here.local) {
		return append(answer, wire.Notify{Type: wire.UnexpectedNATDetected})
	}
	elsewhere := v.leads(here)
	said := v.terms().learnOthers(ps)
	s.dirty = true
	if said && elsewhere && !slices.Contains(v.terms().others, s.remote.Addr()) {
		v.roam(now, here, out) // the peer is no longer where it was (section 3.6)
	}
	if _, asked := ps.Notify(wire.UpdateSAAddresses); asked && !s.dialled {
		if !v.mayBe(here) || !s.quotas.creates.take(now, createsRate, 1) { // a flood of moves is written down
			return append(answer, wire.Notify{Type: wire.UnacceptableAddresses})
		}
		v.move(now, here, ps, out)
	}
	if _, asked := ps.Notify(wire.NATDetectionSourceIP); asked {
		i, r := s.spis()
		answer = append(answer, here.natPayloads(i, r, s.host.Rules().ForceUDP)...)
	}
	return answer
}

// mayBe reports whether the peer would have been let in, to what it has, on that path.
func (v moving) mayBe(p path) bool {
	x := reconsideration(v)
	return reachable(p.remote.Addr()) && x.matchesAt(v.sa.host.Rules(), p.local.Addr(), p.remote.Addr())
}

// move brings the SA to where the peer is now.
func (v moving) move(now time.Time, to path, ps wire.Payloads, out *exchange.Output) {
	s := v.sa
	from := s.remote
	s.local, s.remote = to.local, to.remote
	i, r := s.spis()
	s.detectNAT(ps, i, r, s.host.Rules().ForceUDP)
	s.keepaliveAt = time.Time{}
	s.armKeepalive(now)
	if r := s.window.request; r != nil {
		r.at = now // where it was sent nobody may be
	}
	if from != s.remote {
		out.Events = append(out.Events, exchange.Moved{Peer: s.Peer(), From: from})
	}
	if s.host.Rules().ReturnRoutability && from.Addr() != s.remote.Addr() {
		s.enqueue(task{kind: taskLiveness})
		return
	}
	v.moveChildren()
}

// follow adopts the source of an authentic, new message or ESP packet as the peer's
// address when a NAT is before the peer (RFC 7296 section 2.23). A client that is behind
// a NAT itself does not; a gateway does even there, for it is its clients that
// move.
func (v moving) follow(local, remote netip.AddrPort, out *exchange.Output) {
	s := v.sa
	if remote == s.remote && local == s.local || !s.natRemote || s.natLocal && s.dialled {
		return
	}
	from := s.remote
	s.local, s.remote = local, remote
	s.dirty = true
	v.moveChildren()
	if from != remote {
		out.Events = append(out.Events, exchange.Moved{Peer: s.Peer(), From: from})
	}
}

// moveChildren brings the child SAs to where the IKE SA is.
func (v moving) moveChildren() {
	s := v.sa
	for _, c := range s.children {
		if c.LocalAddr == s.local && c.RemoteAddr == s.remote && c.Encap == s.encap() {
			continue
		}
		c.LocalAddr, c.RemoteAddr, c.Encap = s.local, s.remote, s.encap()
		s.changes = append(s.changes, c.record(s.spi, sa.Change{Op: sa.OpMove, Child: c.Child}))
	}
}

// unproven reports whether child SAs wait for the peer to show that it gets what is
// sent to where the IKE SA is.
func (v moving) unproven() bool {
	return v.on() && !v.sa.dialled && slices.ContainsFunc(v.sa.children, func(c *child) bool {
		return c.RemoteAddr != v.sa.remote
	})
}

// cookieLen is the size of our COOKIE2, of 8 to 64 octets (section 4.2.5).
const cookieLen = 16

// ask sends the empty request that a peer answers who lives. Where its address is
// unproven, it has to return a cookie.
func (v moving) ask(now time.Time, t task, out *exchange.Output) {
	s := v.sa
	r := request{task: t}
	var ps []wire.Payload
	if v.unproven() {
		cookie := bytesFrom(s.host.Rand(), cookieLen)
		r.seed, r.to = secret.Copy(cookie), s.remote
		ps = append(ps, wire.Notify{Type: wire.Cookie2, Data: cookie})
	} else if v.terms().untold {
		r.from, r.to = s.local, s.remote
		ps = v.update()
	}
	s.send(now, r, wire.Informational, ps, out)
}

// answered takes the response to ask. A peer that has moved since is asked once more;
// one that returns another cookie has not got ours, and the SA ends (section 3.7).
func (v moving) answered(now time.Time, r *request, cookie []byte, ps wire.Payloads) {
	s := v.sa
	if s.dialled && r.to.IsValid() {
		v.told(now, r, ps)
		return
	}
	if len(cookie) == 0 {
		return
	}
	n, _ := ps.Notify(wire.Cookie2)
	switch {
	case !bytes.Equal(n.Data, cookie):
		s.enqueue(task{kind: taskDeleteIKE, reason: "peer does not get what is sent to its new address"})
	case r.to != s.remote:
		s.enqueue(task{kind: taskLiveness})
	default:
		v.moveChildren()
	}
}

// postElsewhere sends a request that nobody has answered to the further addresses of
// the peer, too, one with each repeat: it may be that the peer does not know yet that
// we cannot reach it where it was (section 3.10).
func (v moving) postElsewhere(r *request, out *exchange.Output) {
	if !v.on() || r.tries < 2 {
		return
	}
	s, others := v.sa, v.terms().others
	if s.dialled {
		v.probe(r, out)
		return
	}
	if len(others) == 0 {
		return
	}
	to := others[r.tries%len(others)]
	local := s.local.Addr()
	for _, e := range s.host.Rules().entries[s.entry] {
		if local.Is4() != to.Is4() && e.Local.IsValid() && e.Local.Is4() == to.Is4() {
			local = e.Local
		}
	}
	if local.Is4() == to.Is4() {
		r.message.send(exchange.Datagram{Local: netip.AddrPortFrom(local, natPort),
			Remote: netip.AddrPortFrom(to, natPort)}, out)
	}
}

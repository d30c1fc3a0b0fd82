package ikev2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// MOBIKE (RFC 4555) where we have dialled: then we decide between which addresses the SA
// is, and tell the peer with UPDATE_SA_ADDRESSES (section 3.5). That goes with what asks
// whether the peer lives. We are elsewhere when
//
//   - the configuration has no longer the address that the SA has,
//   - nothing is answered where the peer was, and what was sent from another address of
//     ours, or to another one of the peer, is (section 3.10), or
//   - the peer says from another of its addresses that it has lost the one where it was.
//
// Child SAs follow at once, for nothing goes the old way any more. That the peer was not
// told yet is on record, so that whoever goes on with the SA tells it.

// leads reports whether p is another way to the peer than that which the SA takes: from
// an address of its entry to one that the peer was dialled at, or has told.
func (v moving) leads(p path) bool {
	return slices.ContainsFunc(v.ways(), func(w path) bool { return w.local == p.local && w.remote == p.remote })
}

// ways returns the other ways to a peer that we have dialled, in a fixed order: those of
// each address of ours together.
func (v moving) ways() []path {
	s := v.sa
	if !s.dialled || !v.on() {
		return nil
	}
	var ways []path
	entries := s.host.Rules().entries[s.entry]
	for _, e := range entries {
		for _, to := range append([]netip.Addr{e.Peer, s.remote.Addr()}, v.terms().others...) {
			p := path{local: netip.AddrPortFrom(e.Local, natPort), remote: netip.AddrPortFrom(to, natPort)}
			known := func(w path) bool { return w.local == p.local && w.remote == p.remote }
			if e.Local.IsValid() && to.IsValid() && e.Local.Is4() == to.Is4() && !known(s.path) &&
				!slices.ContainsFunc(ways, known) {
				ways = append(ways, p)
			}
		}
	}
	return ways
}

// probe sends a request that nobody has answered another way, too, with each repeat
// another one.
func (v moving) probe(r *request, out *exchange.Output) {
	if ways := v.ways(); len(ways) > 0 {
		w := ways[r.tries%len(ways)]
		r.message.send(exchange.Datagram{Local: w.local, Remote: w.remote}, out)
	}
}

// reached takes note of the way that a new, authentic response has come.
func (v moving) reached(now time.Time, local, remote netip.AddrPort, out *exchange.Output) {
	if p := (path{local: local, remote: remote}); v.leads(p) {
		v.roam(now, p, out)
	}
}

// roam brings the SA to another way, and has the peer told.
func (v moving) roam(now time.Time, to path, out *exchange.Output) {
	s := v.sa
	from := s.remote
	s.local, s.remote = to.local, to.remote
	s.keepaliveAt = time.Time{}
	s.armKeepalive(now)
	v.terms().untold = true
	s.dirty = true
	if r := s.window.request; r != nil {
		r.at = now // where it was sent nobody may be
	}
	if from != s.remote {
		out.Events = append(out.Events, exchange.Moved{Peer: s.Peer(), From: from})
	}
	v.moveChildren()
	s.enqueue(task{kind: taskLiveness})
}

// update is what tells the peer where the SA is, and where else we are.
func (v moving) update() []wire.Payload {
	s := v.sa
	i, r := s.spis()
	ps := []wire.Payload{wire.Notify{Type: wire.UpdateSAAddresses}}
	ps = append(ps, s.natPayloads(i, r, s.host.Rules().ForceUDP)...)
	return append(ps, v.addresses()...)
}

// told takes the answer to update. What has moved since is told once more. A peer that
// does not take us there has the SA connected anew: it may be that it knows better now.
func (v moving) told(now time.Time, r *request, ps wire.Payloads) {
	s := v.sa
	if r.from != s.local || r.to != s.remote {
		s.enqueue(task{kind: taskLiveness})
		return
	}
	if _, no := ps.Notify(wire.UnacceptableAddresses); no {
		s.enqueue(task{kind: taskDeleteIKE, reason: "peer does not take us at " + s.local.Addr().String()})
		return
	}
	v.terms().untold = false
	s.dirty = true
	i, spir := s.spis()
	s.detectNAT(ps, i, spir, s.host.Rules().ForceUDP)
	s.keepaliveAt = time.Time{}
	s.armKeepalive(now)
	v.moveChildren()
}

// relocate finds another way for an SA whose address is no longer that of its entry, where
// old were the Rules. With none it stays, and ends when nobody answers. Where our further
// addresses are others, the peer is told.
func (v moving) relocate(now time.Time, old *Rules, out *exchange.Output) {
	s := v.sa
	if !s.dialled || !v.on() {
		return
	}
	ways, is := v.ways(), s.host.Rules().locals(s.entry)
	if stays := slices.Contains(is, s.local.Addr()); stays || len(ways) == 0 {
		if stays && !slices.Equal(old.locals(s.entry), is) {
			v.terms().untold = true
			s.dirty = true
			s.enqueue(task{kind: taskLiveness})
		}
		return
	}
	i := max(0, slices.IndexFunc(ways, func(w path) bool { return w.remote.Addr() == s.remote.Addr() }))
	v.roam(now, ways[i], out)
}

// locals returns the addresses that the entry called name stands on.
func (r *Rules) locals(name string) (list []netip.Addr) {
	for _, e := range r.entries[name] {
		list = append(list, e.Local)
	}
	return list
}

package ikev2

import (
	"encoding/binary"
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// allowance is what an SA may have by some Rules: the selectors, the number and the
// algorithms of its child SAs.
type allowance struct {
	sa    *SA
	rules *Rules
}

// allowance returns what the SA may have by the present Rules.
func (s *SA) allowance() allowance { return allowance{s, s.host.Rules()} }

// own returns what our side of a child SA of e is at most, where a gateway gives
// us addresses; nil: it gives none.
func (a allowance) own(e *entry) []sa.Selector {
	if !e.RequestAddress {
		return nil
	}
	return append([]sa.Selector{}, hosts(a.sa.session.Addresses)...)
}

// allowed returns the selectors that the SA may get at most on entry e of the
// Rules. A remote-access client is its leased addresses, and without one nothing,
// and sees the split networks; we, as a client, are what we were given; a site on a
// dynamic entry is what its profile lets it bring.
func (a allowance) allowed(e *entry) (local, remote []sa.Selector) {
	s := a.sa
	switch {
	case e.RequestAddress:
		_, remote = e.selectors()
		return hosts(s.session.Addresses), remote
	case s.remoteAccess:
		if local = networks(s.session.Split); len(local) == 0 {
			local = anywhere
		}
		return local, hosts(s.session.Addresses)
	case e.Dynamic:
		if p := a.rules.profileByName(s.profile); p != nil {
			remote = p.RemoteNetworks
		}
		return anywhere, remote
	}
	return e.LocalTS, e.RemoteTS
}

// negotiate decides about a child SA that the peer asked for. A refusal is the
// notification and the reason for the operator.
func (a allowance) negotiate(r *childRequest, first bool) (n negotiated, refusal wire.Notify, reason string) {
	s := a.sa
	e := a.rules.entry(s.entry, s.local.Addr())
	if e == nil {
		return n, wire.Notify{Type: wire.TSUnacceptable}, fmt.Sprintf("no crypto map entry serves the peer on %v",
			s.local.Addr())
	}
	if many := len(s.children); many >= a.childLimit() {
		return n, wire.Notify{Type: wire.NoAdditionalSAs}, fmt.Sprintf("peer has %d child SAs already", many)
	}
	if many := s.host.PeerChildren(s); many >= maxPeerChildren {
		return n, wire.Notify{Type: wire.NoAdditionalSAs}, fmt.Sprintf("peer has %d child SAs in all already", many)
	}
	var ok bool
	if n.choice, ok = a.rules.chooseChild(e, r.sa.Proposals, first); ok {
		n.term = e.on(e.later)[n.choice.Policy]
		n.out = sa.SPI(binary.BigEndian.Uint32(n.choice.SPI))
	}
	if !ok || n.out <= 255 {
		return n, wire.Notify{Type: wire.NoProposalChosen},
			fmt.Sprintf("no common IPsec proposal: peer offers %s, we accept %s",
				clip(suite.Describe(r.sa.Proposals)), clip(describe(e.later)))
	}
	local, remote := a.allowed(e)
	n.local, n.remote = narrow(r.tsr, local), narrow(r.tsi, remote)
	n.lost = append(cutOff(r.tsr, local, n.local), cutOff(r.tsi, remote, n.remote)...)
	if s.remoteAccess && len(remote) == 0 {
		return n, wire.Notify{Type: wire.FailedCPRequired}, "peer has no address of the tunnel group"
	}
	if e.Dynamic && !s.remoteAccess && len(remote) == 0 {
		return n, wire.Notify{Type: wire.TSUnacceptable}, fmt.Sprintf("tunnel group %s has no remote_networks: "+
			"a site at an address that is not known beforehand may bring nothing; it offers %v", s.profile,
			brief(r.tsi))
	}
	if len(n.local) == 0 || len(n.remote) == 0 {
		return n, wire.Notify{Type: wire.TSUnacceptable},
			fmt.Sprintf("no common traffic selectors: peer offers %v === %v, we accept %v === %v",
				brief(r.tsi), brief(r.tsr), brief(remote), brief(local))
	}
	if reason := a.contested(e, n.local, n.remote); reason != "" {
		return n, wire.Notify{Type: wire.TSUnacceptable}, reason
	}
	if reason := a.unroutable(n.remote); reason != "" {
		return n, wire.Notify{Type: wire.TSUnacceptable}, reason
	}
	return n, wire.Notify{}, ""
}

// unroutable returns why the data plane would have no room for these remote
// selectors of one more child SA, for the operator; "": it has.
func (a allowance) unroutable(remote []sa.Selector) string {
	s := a.sa
	n := sa.CountPrefixes(remote)
	switch {
	case n > sa.MaxPrefixes:
		return fmt.Sprintf("networks of the peer consist of more than %d prefixes: %v", sa.MaxPrefixes, brief(remote))
	case s.host.Prefixes()+n > sa.MaxTenantPrefixes:
		return fmt.Sprintf("networks of all peers consist of %d prefixes already", s.host.Prefixes())
	}
	return ""
}

// childLimit is how many child SAs the SA may have.
func (a allowance) childLimit() int {
	if a.sa.remoteAccess {
		return maxClientChildren
	}
	return maxChildren
}

// conforms reports whether c has no more than is allowed.
func (a allowance) conforms(e *entry, c *child) bool {
	local, remote := a.allowed(e)
	return within(c.Local, local) && within(c.Remote, remote)
}

// successor returns what is asked for when c is rekeyed: what it has, as far as
// that is allowed, or all that its entry has now.
func (a allowance) successor(e *entry, c *child) (local, remote []sa.Selector) {
	if c.anew && !e.Dynamic {
		local, remote = e.selectors()
		if own := a.own(e); own != nil {
			local = own
		}
		return local, remote
	}
	local, remote = a.allowed(e)
	return narrow(c.Local, local), narrow(c.Remote, remote)
}

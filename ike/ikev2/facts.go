package ikev2

import "github.com/warrenvpn/warren/ike/exchange"

var _ exchange.SA = (*SA)(nil)

// Index implements exchange.SA.
func (s *SA) Index() *exchange.Index { return &s.index }

// Phase implements exchange.SA.
func (s *SA) Phase() exchange.Phase { return phases[s.state] }

// Children implements exchange.SA.
func (s *SA) Children() int { return len(s.children) }

// Served implements exchange.SA.
func (s *SA) Served() bool { return s.served }

// PeerKey implements exchange.SA.
func (s *SA) PeerKey() exchange.PeerKey {
	if !s.standing() && s.state != Asking {
		return exchange.PeerKey{}
	}
	if s.user != "" {
		return exchange.PeerKey{Profile: s.profile, Data: s.user}
	}
	return exchange.PeerKey{Profile: s.profile, Type: uint8(s.remoteID.Type), Data: s.remoteID.Data}
}

// Peer implements exchange.SA.
func (s *SA) Peer() exchange.Peer {
	p := exchange.Peer{SPI: s.spi, Local: s.local, Remote: s.remote, Profile: s.profile, User: s.user}
	if !s.localID.IsZero() {
		p.LocalID = s.localID.String()
	}
	if !s.remoteID.IsZero() {
		p.RemoteID = s.remoteID.String()
	}
	return p
}

// Status implements exchange.SA.
func (s *SA) Status() exchange.Status {
	st := exchange.Status{
		Peer: s.Peer(), PeerSPI: s.peerSPI, Initiator: s.initiator, Dialled: s.dialled, State: s.state.String(),
		Rejected: s.state == Rejected, Followed: s.state == Replaced || s.state == Contending || s.wasReplaced,
		NAT: s.natLocal || s.natRemote, Session: s.session, Established: s.established,
		IntegrityFailed: s.forged, Excess: s.excess,
	}
	if s.standing() {
		st.MOBIKE = moving{s}.on()
	}
	if s.suite != nil {
		st.Suite = s.suite.Proposal()
	}
	for _, c := range s.children {
		st.Children = append(st.Children, c.Child)
	}
	return st
}

package ikev2

import (
	"net/netip"

	"github.com/warrenvpn/warren/ike/exchange"
)

var _ exchange.SA = (*SA)(nil)

// SPI implements exchange.SA.
func (s *SA) SPI() uint64 { return s.spi }

// PeerSPI implements exchange.SA.
func (s *SA) PeerSPI() uint64 { return s.peerSPI }

// InitiatorSPI implements exchange.SA.
func (s *SA) InitiatorSPI() uint64 {
	i, _ := s.spis()
	return i
}

// Phase implements exchange.SA.
func (s *SA) Phase() exchange.Phase { return phases[s.state] }

// Remote implements exchange.SA.
func (s *SA) Remote() netip.AddrPort { return s.remote }

// Entry implements exchange.SA.
func (s *SA) Entry() string { return s.entry }

// Dialled implements exchange.SA.
func (s *SA) Dialled() bool { return s.dialled }

// RemoteAccess implements exchange.SA.
func (s *SA) RemoteAccess() bool { return s.remoteAccess }

// Assigned implements exchange.SA.
func (s *SA) Assigned() []netip.Addr { return s.session.Addresses }

// Children implements exchange.SA.
func (s *SA) Children() int { return len(s.children) }

// Served implements exchange.SA.
func (s *SA) Served() bool { return s.served }

// samePeer reports whether o is with the peer of s, under the same profile; s may
// not be established yet.
func (s *SA) samePeer(o exchange.SA) bool {
	if o, ok := o.(*SA); ok {
		return s.profile == o.profile && s.remoteID.Equal(o.remoteID)
	}
	p := o.Peer()
	return s.profile == p.Profile && s.remoteID.String() == p.RemoteID
}

// PeerKey implements exchange.SA.
func (s *SA) PeerKey() string {
	if !s.standing() && s.state != Asking {
		return ""
	}
	return s.profile + "\x00" + s.remoteID.String()
}

// Peer implements exchange.SA.
func (s *SA) Peer() exchange.Peer {
	p := exchange.Peer{SPI: s.spi, Local: s.local, Remote: s.remote, Profile: s.profile}
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
		Rejected: s.state == Rejected, Followed: s.state == Replaced || s.wasReplaced,
		NAT: s.natLocal || s.natRemote, Session: s.session, Established: s.established, IntegrityFailed: s.forged,
	}
	if s.suite != nil {
		st.Suite = s.suite.Proposal()
	}
	for _, c := range s.children {
		st.Children = append(st.Children, c.Child)
	}
	return st
}

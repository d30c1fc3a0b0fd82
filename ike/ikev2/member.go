package ikev2

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
)

// member is who is at the other end of an IKE SA, by which profile and entry it was
// let in, or we were, and what came with that.
type member struct {
	profile           string
	entry             string
	certMap           string // that has chosen the profile; "": none
	remoteAccess      bool
	dpd               time.Duration
	localID, remoteID identity.Identity
	user              string // who EAP says that the peer is; "": it proved itself otherwise
	session           exchange.Session
}

// Entry implements exchange.SA.
func (m *member) Entry() string { return m.entry }

// RemoteAccess implements exchange.SA.
func (m *member) RemoteAccess() bool { return m.remoteAccess }

// Assigned implements exchange.SA.
func (m *member) Assigned() []netip.Addr { return m.session.Addresses }

// samePeer reports whether o is with this peer, under the same profile.
func (m *member) samePeer(o exchange.SA) bool {
	if o, ok := o.(*SA); ok {
		return m.profile == o.profile && m.user == o.user && (m.user != "" || m.remoteID.Equal(o.remoteID))
	}
	p := o.Peer()
	return m.profile == p.Profile && m.user == p.User && (m.user != "" || m.remoteID.String() == p.RemoteID)
}

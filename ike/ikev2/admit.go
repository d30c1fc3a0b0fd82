package ikev2

import (
	"net/netip"
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// wants reports whether the peer asks for an address with an attribute of type t,
// and for which one; invalid: any.
func (a *authResponder) wants(t wire.AttributeType) (bool, netip.Addr) {
	if !a.hasCP {
		return false, netip.Addr{}
	}
	v, ok := a.cp.Find(t)
	wanted := v.Addr()
	if !ok || !wanted.IsValid() || wanted.IsUnspecified() {
		wanted = netip.Addr{}
	}
	return ok, wanted
}

// succeeded returns the SAs of the same peer and profile that end when ours stands:
// the peer has said INITIAL_CONTACT (RFC 7296 section 2.4), and they are of the same
// device.
func (a *authResponder) succeeded() []exchange.SA {
	if !a.contact || a.profile.IgnoreContact {
		return nil
	}
	return slices.DeleteFunc(a.sa.host.Others(a.sa), func(o exchange.SA) bool { return !a.sameDevice(o) })
}

// sameDevice reports whether o, an SA of the same peer and profile, is of the same
// device. One identity may have several devices, each of which knows of its own SAs
// alone: the same device comes from the same address, or asks for the address that o
// has been given, or has been given it itself by now.
func (a *authResponder) sameDevice(o exchange.SA) bool {
	s := a.sa
	if o.Remote().Addr() == s.remote.Addr() {
		return true
	}
	_, v4 := a.wants(wire.InternalIP4Address)
	_, v6 := a.wants(wire.InternalIP6Address)
	return slices.ContainsFunc(o.Assigned(), func(x netip.Addr) bool {
		return x == v4 || x == v6 || slices.Contains(s.session.Addresses, x)
	})
}

// unaddressed says why a client gets no child SA, and what it is told: it has no
// address, and packets for the one that it comes from are not for the tunnel. The
// IKE SA stands for a while, as RFC 7296 section 3.15.4 has it.
func (a *authResponder) unaddressed(r exchange.AnswerSession) (wire.Notify, string) {
	s := a.sa
	wants := a.hasCP && asksAddress(a.cp)
	switch {
	case r.Refuse == exchange.RefuseNoAddress || wants && len(s.session.Addresses) == 0:
		return wire.Notify{Type: wire.InternalAddressFailure}, "no address is free for the peer"
	case s.remoteAccess && len(s.session.Addresses) == 0:
		return wire.Notify{Type: wire.FailedCPRequired},
			"peer asks for no address: a client of a remote-access tunnel group has to"
	}
	return wire.Notify{}, ""
}

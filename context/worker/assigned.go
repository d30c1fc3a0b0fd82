package worker

import (
	"net/netip"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/ike/exchange"
)

// assigned is the addresses that gateways gave us, by our SPI of the IKE SA: the
// supervisor puts them on the tunnel device, and takes them off again. What child SAs
// carry is told behind it (routes).
type assigned struct {
	tell       func(control.Fact)
	supervisor *supervisor
	by         map[uint64]exchange.AddressAssigned
}

func newAssigned(tell func(control.Fact), s *supervisor) *assigned {
	return &assigned{tell: tell, supervisor: s, by: make(map[uint64]exchange.AddressAssigned)}
}

// add asks for what a gateway gave us.
func (a *assigned) add(e exchange.AddressAssigned) {
	a.tell(&control.AddressAssigned{Peer: peerOf(e.Peer), Assigned: e.Session.Addresses, Entry: e.Entry})
	a.by[e.Peer.SPI] = e
	a.request(e, true)
}

// adopt asks for the addresses that a gateway gave us in an IKE SA that came from
// the journal; whoever served before may have them already.
func (a *assigned) adopt(s exchange.Status) {
	if _, known := a.by[s.Peer.SPI]; s.Dialled && len(s.Session.Addresses) > 0 && !known {
		e := exchange.AddressAssigned{Peer: s.Peer, Session: s.Session}
		a.by[s.Peer.SPI] = e
		a.request(e, true)
	}
}

// repeat asks again for all that there is: the supervisor knows nothing of it.
func (a *assigned) repeat() {
	for _, e := range a.by {
		a.request(e, true)
	}
}

// remove takes the addresses of an IKE SA off again.
func (a *assigned) remove(spi uint64) {
	if e, ok := a.by[spi]; ok {
		delete(a.by, spi)
		a.request(e, false)
	}
}

// rename gives the addresses of an IKE SA to the one that it was rekeyed to.
func (a *assigned) rename(from uint64, peer exchange.Peer) {
	if e, ok := a.by[from]; ok {
		delete(a.by, from)
		e.Peer = peer
		a.by[peer.SPI] = e
	}
}

func (a *assigned) request(e exchange.AddressAssigned, add bool) {
	for _, addr := range e.Session.Addresses {
		ask := control.Address{Add: add, Prefix: netip.PrefixFrom(addr, addr.BitLen())}
		a.supervisor.request(control.KindAddress, ask, nil)
	}
}

package ikev2

import (
	"fmt"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// A responder may narrow what an initiator asks for to one pair of networks, or
// say SINGLE_PAIR_REQUIRED (RFC 7296 section 2.9). The end that has dialled asks
// for the other pairs one by one then, in child SAs of their own. What stays
// without one is told.

// maxRest bounds the pairs that are asked for one by one.
const maxRest = maxChildren

// tellNarrowed tells what the peer has left out of the child SA c, for which local
// and remote were asked.
func (s *SA) tellNarrowed(c *child, local, remote []sa.Selector, out *exchange.Output) {
	lost := append(uncovered(local, c.Local), uncovered(remote, c.Remote)...)
	if len(lost) == 0 {
		return
	}
	out.Events = append(out.Events, exchange.Narrowed{Peer: s.Peer(), Local: c.Local, Remote: c.Remote,
		AskedLocal: local, AskedRemote: remote,
		Lost: lost})
}

// askRest asks for the pairs of networks of e of which no child SA carries
// anything.
func (s *SA) askRest(e *entry) {
	if e == nil || e.RequestAddress || !s.dialled || s.state != Established {
		return
	}
	local, remote := e.selectors()
	asked := 0
	for _, l := range local {
		for _, r := range remote {
			w := want{[]sa.Selector{l}, []sa.Selector{r}}
			if asked < maxRest && !s.children.carries(&w) {
				asked++
				s.enqueue(task{kind: taskNewChild, want: &w})
			}
		}
	}
}

// singlePair reports whether the peer makes one child SA for each pair of
// networks, and has therefore made none.
func singlePair(ps wire.Payloads) bool {
	_, is := ps.Notify(wire.SinglePairRequired)
	return is
}

// String returns the pair for the operator.
func (w *want) String() string { return fmt.Sprintf("%v === %v", brief(w.local), brief(w.remote)) }

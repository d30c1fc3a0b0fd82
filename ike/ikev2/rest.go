package ikev2

import (
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// A responder may narrow what an initiator asks for to one pair of networks, or
// say SINGLE_PAIR_REQUIRED (RFC 7296 section 2.9), also when a child SA is rekeyed. The
// end that has asked asks for the pairs one by one then, in child SAs of their own; after
// narrowing, the end that has dialled does. What stays without one is told.

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
	asked := 0
	for _, w := range pairsOf(e.selectors()) {
		if asked < maxRest && !s.children.carries(w) {
			asked++
			s.enqueue(task{kind: taskNewChild, want: w})
		}
	}
}

// pairsOf returns each network of local with each of remote.
func pairsOf(local, remote []sa.Selector) (pairs []*want) {
	for _, l := range local {
		for _, r := range remote {
			pairs = append(pairs, &want{[]sa.Selector{l}, []sa.Selector{r}})
		}
	}
	return pairs
}

// split asks for each pair of networks of the request r in a child SA of its own, where
// there are several. The old one, which may be nil, stays until all are there. Who goes
// on with the SA before that tries to rekey the old one, and is told the same.
func (x createInitiator) split(now time.Time, r *request, old *child) bool {
	s := x.sa
	pairs := pairsOf(r.local, r.remote)
	if len(pairs) < 2 || len(pairs) > maxRest {
		return false
	}
	if old != nil {
		old.split = true
		x.wait(now, old) // a pair may be refused
	}
	for _, w := range pairs {
		if !s.children.carries(w) {
			s.enqueue(task{kind: taskNewChild, group: r.group, want: w})
		}
	}
	s.closeSplit()
	return true
}

// reasonPairs is why a child SA ends that has made way for several.
const reasonPairs = "peer wants a child SA for each pair of networks"

// closeSplit ends child SAs whose pairs of networks all have child SAs of their own.
func (s *SA) closeSplit() {
	for _, c := range s.children {
		lacks := func(w *want) bool { return !s.children.carries(w) }
		if c.split && c.isCurrent() && !slices.ContainsFunc(pairsOf(c.Local, c.Remote), lacks) {
			c.ending = true
			s.enqueue(task{kind: taskDeleteChild, child: c.ID, reason: reasonPairs})
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

// Package iketest runs IKE engines in virtual time over a wire that drops,
// delays, reorders, duplicates and corrupts, all from one seed. Nodes can be
// killed between any two datagrams and come back from their journal, as a worker
// does. The lab watches what must never happen: a nonce used twice, a data plane
// that disagrees with the engine, a journal that does not give the state back.
//
// It is for tests only, and does no I/O.
package iketest

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// Faults are the probabilities, per datagram, of what the wire does to it.
type Faults struct {
	Drop, Duplicate, Corrupt float64
	// Delay is the least, Jitter what may be added: more than the time between
	// two datagrams reorders them.
	Delay, Jitter time.Duration
}

// Lab is a set of nodes, the wire between them, and the time.
type Lab struct {
	Now    time.Time
	Faults Faults
	Nodes  []*Node
	// NAT maps addresses: a datagram from a key leaves as its value, and one to
	// the value arrives at the key.
	NAT map[netip.AddrPort]netip.AddrPort
	// Spy sees every datagram that a node sends, before the wire does; it may be
	// nil. Before is called ahead of each delivery.
	Spy    func(from *Node, d exchange.Datagram)
	Before func()
	// Lose is asked for each datagram, once the nodes' addresses are translated,
	// whether the wire keeps it for itself; it may be nil.
	Lose func(from *Node, d exchange.Datagram) bool
	// Crash is asked after each commit of changes whether the node dies before
	// it has sent anything of that Output; it may be nil.
	Crash func(n *Node) bool
	// Trouble holds what must not happen and did.
	Trouble []string

	transcript *Transcript // nil: nothing is printed

	rng   *rand.Rand
	queue deliveries
	count int
	ivs   map[string][32]byte
}

// Start is when every Lab begins.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New returns a Lab whose every random decision comes from seed.
func New(seed uint64, f Faults) *Lab {
	return &Lab{
		Now: Start, Faults: f, NAT: map[netip.AddrPort]netip.AddrPort{},
		rng: source(seed), ivs: map[string][32]byte{},
	}
}

// source is what the random decisions of a Lab come from.
func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }

// step does the next thing that happens up to end, and reports false when there
// is none.
func (l *Lab) step(end time.Time) bool {
	var who *Node
	at := end
	for _, n := range l.Nodes {
		if t, ok := n.Engine.Deadline(); ok && t.Before(at) {
			at, who = t, n
		}
	}
	if len(l.queue) > 0 && !l.queue[0].at.After(at) {
		d := heap.Pop(&l.queue).(delivery)
		l.advance(d.at)
		if l.Before != nil {
			l.Before()
		}
		l.deliver(d.Datagram)
		return true
	}
	if who == nil {
		return false
	}
	l.advance(at)
	l.transcript.call(who, "timer")
	who.Do(func(out *exchange.Output) error { who.Engine.Expire(l.Now, out); return nil })
	return true
}

// advance sets the time, which never goes back.
func (l *Lab) advance(t time.Time) {
	if t.After(l.Now) {
		l.Now = t
	}
}

// Run lets time pass.
func (l *Lab) Run(d time.Duration) {
	end := l.Now.Add(d)
	for l.step(end) {
	}
	l.Now = end
}

// Until lets time pass until done, at most d, and reports whether it was.
func (l *Lab) Until(d time.Duration, done func() bool) bool {
	end := l.Now.Add(d)
	for !done() {
		if !l.step(end) {
			l.Now = end
			return done()
		}
	}
	return true
}

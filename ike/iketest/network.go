package iketest

import (
	"bytes"
	"container/heap"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// send puts a datagram on the wire.
func (l *Lab) send(from *Node, d exchange.Datagram) {
	if d.Keepalive {
		return
	}
	l.transcript.send(from, d)
	if l.Spy != nil {
		l.Spy(from, d)
	}
	l.watch(d.Payload)
	if from.former[d.Local.Addr()] && d.Local.Addr() != from.Addr {
		l.transcript.line("lost", "it has no such address any more")
		return
	}
	if d.Local.Addr() != from.Addr && d.Local.Addr() != from.Also {
		l.trouble("%s sends from %v", from.Name, d.Local)
	}
	if mapped, ok := l.NAT[d.Local]; ok {
		d.Local = mapped
	}
	if l.Lose != nil && l.Lose(from, d) {
		return
	}
	copies := 1
	if l.rng.Float64() < l.Faults.Duplicate {
		copies = 2
	}
	for range copies {
		if l.rng.Float64() < l.Faults.Drop {
			l.transcript.line("lost", "on the way")
			continue
		}
		b := bytes.Clone(d.Payload)
		if l.rng.Float64() < l.Faults.Corrupt {
			b[l.rng.IntN(len(b))] ^= 1 << l.rng.IntN(8)
		}
		at := l.Now.Add(l.Faults.Delay)
		if l.Faults.Jitter > 0 {
			at = at.Add(time.Duration(l.rng.Int64N(int64(l.Faults.Jitter))))
		}
		l.Inject(at, exchange.Datagram{Local: d.Remote, Remote: d.Local, Payload: b})
	}
}

// natAddr is the outside of the NAT of Translate.
var natAddr = netip.MustParseAddr("203.0.113.9")

// Translate puts ClientAddr behind a NAT that adds port to its ports, from now
// on and instead of what was.
func (l *Lab) Translate(port uint16) {
	clear(l.NAT)
	for _, p := range []uint16{500, 4500} {
		l.NAT[netip.AddrPortFrom(ClientAddr, p)] = netip.AddrPortFrom(natAddr, port+p)
	}
}

// Inject has a datagram arrive at d.Local at an instant.
func (l *Lab) Inject(at time.Time, d exchange.Datagram) {
	l.count++
	heap.Push(&l.queue, delivery{at, l.count, d})
}

// deliver gives a datagram to every node at its address.
func (l *Lab) deliver(d exchange.Datagram) {
	for inside, outside := range l.NAT {
		if outside == d.Local {
			d.Local = inside
		}
	}
	for _, n := range l.Nodes {
		if (n.Addr == d.Local.Addr() || n.Also == d.Local.Addr()) && !n.Deaf {
			l.transcript.arrive(n, d)
			n.Do(func(out *exchange.Output) error { return n.Engine.Receive(l.Now, d, out) })
		}
	}
}

type delivery struct {
	at    time.Time
	count int
	exchange.Datagram
}

type deliveries []delivery

// Len implements heap.Interface.
func (q deliveries) Len() int { return len(q) }

// Less implements heap.Interface.
func (q deliveries) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].count < q[j].count
}

// Swap implements heap.Interface.
func (q deliveries) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *deliveries) Push(x any) { *q = append(*q, x.(delivery)) }

// Pop implements heap.Interface.
func (q *deliveries) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

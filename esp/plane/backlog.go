package plane

import (
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

const (
	// backlogSize is the most messages that wait: 4 MB of big ones, 5 ms at 6
	// Gbit/s, which is about what the socket itself holds.
	backlogSize = 64
	// turn is what one SA may cost before the next one has its turn: enough
	// for super-packets to stay whole.
	turn = 128 << 10
	// perDatagram is what a datagram costs beside its bytes.
	perDatagram = 256
	// maxEvicted bounds the messages that are dropped between two turns, so that
	// receiving what will be dropped does not take all of the time.
	maxEvicted = 16
)

// backlog is the messages that wait while packets come faster than a pipeline
// can open them. Without it the socket would overflow, and drop packets of all
// SAs alike: one flooding client would starve the others, and IKE with them. So
// while more than one batch waits, messages are received ahead, IKE is handled
// at once, ESP is sorted by SA, and the SAs are served in turns (deficit round
// robin; RFC 8290 section 3 explains the idea). When there is no more room here
// and the socket is half full, the SA with the largest queue loses its oldest
// message. Order within an SA is kept.
type backlog struct {
	nodes  []node
	free   int       // the first free node, or none
	queues []waiting // those that are not empty, in order of their turns
	served int       // nodes whose memory the coalescer may still refer to
}

// none ends a list of nodes.
const none = -1

// node is a message that waits.
type node struct {
	m    Message
	cost int
	next int
}

// waiting is the messages of one SA.
type waiting struct {
	spi        sa.SPI
	head, tail int
	cost       int // of all
	credit     int
}

// init gives the backlog its memory, of which it touches no more than it needs.
func (b *backlog) init(memory slab) {
	n := len(memory) / messageSize
	b.nodes = make([]node, n)
	b.queues = make([]waiting, 0, n)
	b.free, b.served = none, none
	for i := range b.nodes {
		b.nodes[i].m.Buf = memory[i*messageSize : (i+1)*messageSize]
		b.release(i)
	}
}

func (b *backlog) release(i int) { b.nodes[i].next, b.free = b.free, i }

// add takes the message m over, whose buffer it swaps for a free one. There is
// a free node.
func (b *backlog) add(spi sa.SPI, m *Message) {
	i := b.free
	n := &b.nodes[i]
	b.free = n.next
	buf := n.m.Buf
	n.m, n.next = *m, none
	m.Buf = buf
	n.cost = len(n.m.Data) + perDatagram
	if n.m.Segment > 0 {
		n.cost += len(n.m.Data) / n.m.Segment * perDatagram
	}
	for k := range b.queues {
		if q := &b.queues[k]; q.spi == spi {
			b.nodes[q.tail].next, q.tail = i, i
			q.cost += n.cost
			return
		}
	}
	b.queues = append(b.queues, waiting{spi: spi, head: i, tail: i, cost: n.cost})
}

// pop takes the oldest message of queue k, which stays where it is when it
// becomes empty.
func (b *backlog) pop(k int) int {
	q := &b.queues[k]
	i := q.head
	q.head = b.nodes[i].next
	q.cost -= b.nodes[i].cost
	return i
}

// evict drops the oldest message of the SA that waits with most, and returns
// the number of its datagrams and their bytes.
func (b *backlog) evict() (packets, bytes int) {
	longest := 0
	for k := range b.queues {
		if b.queues[k].cost > b.queues[longest].cost {
			longest = k
		}
	}
	i := b.pop(longest)
	if b.queues[longest].head == none {
		b.queues = append(b.queues[:longest], b.queues[longest+1:]...)
	}
	m := &b.nodes[i].m
	b.release(i)
	if m.Segment <= 0 {
		return 1, len(m.Data)
	}
	return (len(m.Data) + m.Segment - 1) / m.Segment, len(m.Data)
}

// overload receives and serves until nothing waits any more, here or in the
// socket.
func (in *inbound) overload() error {
	b := &in.backlog
	for {
		more := true
		for more && b.free != none {
			var err error
			if more, err = in.receiveAhead(min(fewMessages, b.room(fewMessages))); err != nil {
				return err
			}
		}
		for i := 0; more && i < maxEvicted && in.outer.Conn.Pressed(); i++ {
			packets, bytes := b.evict()
			in.rx.Drop(stats.DropOverload, packets, bytes)
			var err error
			if more, err = in.receiveAhead(1); err != nil {
				return err
			}
		}
		if len(b.queues) == 0 {
			return nil
		}
		in.serveQueue()
	}
}

// room returns how many nodes are free, up to most.
func (b *backlog) room(most int) int {
	n := 0
	for i := b.free; i != none && n < most; i = b.nodes[i].next {
		n++
	}
	return n
}

// receiveAhead receives up to n messages, for which there is room, and reports
// whether there may be more. Messages that are not ESP are handled at once.
func (in *inbound) receiveAhead(n int) (more bool, err error) {
	got, err := in.outer.Conn.TryReceive(in.ms[:n])
	if err != nil {
		return false, err
	}
	for i := range in.ms[:got] {
		m := &in.ms[i]
		spi, isESP := in.outer.Kind.spiOf(m.Data)
		if m.TooBig > 0 || !isESP {
			in.message(m)
			continue
		}
		in.backlog.add(spi, m)
	}
	return got == n, nil
}

// serveQueue serves the first queue for one turn and puts it behind the others.
func (in *inbound) serveQueue() {
	b := &in.backlog
	in.rx.Start()
	q := &b.queues[0]
	q.credit += turn
	for q.head != none && q.credit > 0 {
		i := b.pop(0)
		q.credit -= b.nodes[i].cost
		in.message(&b.nodes[i].m)
		b.nodes[i].next, b.served = b.served, i
	}
	in.endBatch()
	for b.served != none {
		i := b.served
		b.served = b.nodes[i].next
		b.release(i)
	}
	first := *q
	n := copy(b.queues, b.queues[1:])
	b.queues = b.queues[:n]
	if first.head != none {
		b.queues = append(b.queues, first)
	}
}

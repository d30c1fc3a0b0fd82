package plane

import (
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

const (
	// sealSlab holds the sealed packets that wait for one send; a send starts
	// when it is half full, so that a super-packet of any kind can follow.
	sealSlab = 256 << 10
	sealGoal = sealSlab / 2
	// maxChunk bounds the packets that are sealed under one lock.
	maxChunk = 512
)

// egress is ESP on its way out of one TUN queue: packets gather, sealed or to be
// sealed, in a batch for one socket, which is sent as a whole. It belongs to the
// pipeline of the queue.
type egress struct {
	*batch // that is being filled
	esp    *espSide
	sealer sealer
}

// sealer is who seals: the pipeline of the TUN queue itself (inlineSealer), or the
// crew (crewSealer).
type sealer interface {
	// withMemory gives the sealer what it needs while run runs, and returns the error of
	// run. first is the batch that will be filled first.
	withMemory(first *batch, run func() error) error
	// seal puts packets of b with numbers from i on into the batch to, as many as
	// there is room for, with the next sequence numbers of c. It returns their
	// number and inner bytes; 0 where none may be sealed, with the counter of the
	// cause, which is stats.DropPolicy for a child SA that is deleted.
	seal(to *batch, c *child, b *Burst, i int) (n, bytes int, why stats.Counter)
	// send has a batch that is not empty sent behind those before it, and returns an
	// empty one.
	send(b *batch) *batch
}

// newEgress returns the egress of the TUN queue with this number, whose counters
// are sent.
func newEgress(e *espSide, queue int, sent *counters) *egress {
	out := &egress{esp: e, batch: newBatch(nil)}
	network := transmitter{base: e.base, stats: sent}
	if e.crew.size == 0 {
		out.sealer = &inlineSealer{transmitter: network}
	} else {
		out.sealer = newCrewSealer(e.crew, network, queue)
	}
	return out
}

// withMemory gives the egress its memory while run runs, and returns the error of run.
func (e *egress) withMemory(run func() error) error { return e.sealer.withMemory(e.batch, run) }

// Send implements Carrier.
func (c *child) Send(b *Burst) bool {
	e, to := c.esp.egress[b.Queue()], c.path.Load()
	if to.outer == nil {
		b.Drop(stats.DropNoSocket, 0)
		return true
	}
	if e.to != to.outer {
		e.Flush()
		e.to = to.outer
	}
	inner := b.Inner()
	e.header = outerHeader{remote: to.remote, tos: inner.TOS, df: e.outerDF(to, inner)}
	b.FlushLater(e)
	for i := 0; i < b.Len(); {
		if e.used >= sealGoal {
			e.Flush()
		}
		n, bytes, why := e.sealer.seal(e.batch, c, b, i)
		switch {
		case n > 0:
			c.slot.CountOut(uint64(n), uint64(bytes), b.Now())
			i += n
		case i == 0 && why == stats.DropPolicy:
			return false
		default:
			b.Drop(why, i)
			return true
		}
	}
	c.esp.checkVolume(c, c.slot.BytesOut(), b.Now())
	return true
}

// Flush implements Flusher: it has the batch sent.
func (e *egress) Flush() {
	if len(e.ms) == 0 {
		e.reset()
		return
	}
	to, header := e.to, e.header
	e.batch = e.sealer.send(e.batch)
	e.to, e.header = to, header
}

// outerDF decides on the Don't Fragment bit of the outer header (RFC 4301
// section 8.1).
func (e *egress) outerDF(to *path, inner *esp.Inner) bool {
	switch e.esp.options.Load().DF {
	case sa.DFSet:
		return true
	case sa.DFClear:
		return false
	}
	if inner.V6 {
		// A path too narrow for what IPv6 guarantees has to fragment outside.
		return to.inner4 >= to.inner6
	}
	return inner.DF
}

// reserve takes the next sequence numbers for packets of b from number i on, as
// many as there is room for in the batch to, and returns the first and their number,
// or 0 and the cause, as sealer.seal does. The caller holds the lock of its sealer.
func (c *child) reserve(to *batch, b *Burst, i int) (seq uint64, n int, why stats.Counter) {
	if c.out == nil {
		return 0, 0, stats.DropPolicy
	}
	n = min(b.Len()-i, maxChunk, max(1, len(to.room())/(c.out.PacketLen(b.Size())+16)))
	seq, ok := c.out.Reserve(n)
	ceiling := c.out.Ceiling()
	next := c.slot.OutNext()
	if next > ceiling-ceiling/8 {
		c.esp.reportChild(c, ReportRekey, b.Now())
	}
	limit := c.slot.OutLimit()
	if !ok && (limit == 0 || limit >= ceiling) {
		c.esp.reportChild(c, ReportExpired, b.Now())
		return 0, 0, stats.DropSequence
	}
	if limit != 0 {
		if c.lastLimit.Swap(limit) != limit {
			c.askAt.Store(limit - (limit-min(next, limit))/4)
		}
		if !ok || next >= c.askAt.Load() {
			c.esp.reportChild(c, ReportReserve, b.Now())
		}
	}
	if !ok {
		return 0, 0, stats.DropSequence
	}
	return seq, n, 0
}

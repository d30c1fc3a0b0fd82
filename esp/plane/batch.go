package plane

import "github.com/warrenvpn/warren/esp/stats"

// worthCrew is how many packets make it worth to have somebody else seal them.
const worthCrew = 8

// batch is what one send of a TUN pipeline consists of.
type batch struct {
	slab     []byte // packets, sealed or to be sealed
	used     int
	ms       []Message
	to       *outer        // of ms
	unsealed []unsealed    // with a crew: in order
	ready    chan struct{} // has one token when all is sealed
	spoilt   bool          // some messages are not to be sent
}

// unsealed is one packet that has its place and its sequence number.
type unsealed struct {
	c     *child
	at, n int // offset in the slab, and inner bytes
	seq   uint64
	m     int // its message
}

// do seals what is not yet sealed, which makes the batch ready.
func (b *batch) do(member int) {
	for i := 0; i < len(b.unsealed); {
		c := b.unsealed[i].c
		c.outMu.RLock()
		s, from := c.sealer(member), i
		for ; i < len(b.unsealed) && b.unsealed[i].c == c; i++ {
			u := &b.unsealed[i]
			if s == nil { // deleted since; nothing of its message may leave
				b.ms[u.m].Data, b.spoilt = nil, true
				continue
			}
			s.Seal(b.slab[u.at:], u.n, u.seq)
		}
		c.outMu.RUnlock()
		c.sealed(i - from)
	}
	b.ready <- struct{}{}
}

// reset empties the batch.
func (b *batch) reset() {
	b.ms, b.used, b.unsealed, b.spoilt = b.ms[:0], 0, b.unsealed[:0], false
}

// send sends the batch, which is sealed, and empties it.
func (o *outbound) send(b *batch) {
	ms := b.ms
	if b.spoilt {
		ms = ms[:0]
		for _, m := range b.ms {
			if m.Data == nil {
				o.stats.count(stats.DropPolicy, 1, 0)
				continue
			}
			ms = append(ms, m)
		}
	}
	switch {
	case len(ms) == 0:
	case o.p.muted.Load():
		loss := lossOf(ms)
		o.stats.count(stats.DropMuted, loss.Packets, loss.Bytes)
	default:
		loss, err := b.to.Conn.Send(ms)
		if err != nil {
			loss = lossOf(ms)
		}
		o.stats.count(stats.DropSend, loss.Packets, loss.Bytes)
	}
	b.reset()
}

// flush sends what is waiting, or has it sealed and sent behind what is under
// way already.
func (o *outbound) flush() {
	b := o.batch
	switch {
	case len(b.ms) == 0:
		b.reset()
	case o.line == nil:
		o.send(b)
	case len(b.unsealed) < worthCrew && o.flying.Load() == 0:
		b.do(o.member)
		<-b.ready
		o.send(b)
	default:
		o.flying.Add(1)
		o.p.crew.work <- b
		o.line <- b
		o.batch = <-o.spare
		o.to = b.to
	}
}

// sendInOrder sends the batches that the crew seals in the order of the line.
func (o *outbound) sendInOrder() {
	for b := range o.line {
		<-b.ready
		o.send(b)
		o.flying.Add(-1)
		o.spare <- b
	}
}

// lossOf is the loss of everything.
func lossOf(ms []Message) (l Loss) {
	for i := range ms {
		l.Packets++
		if size := ms[i].Segment; size > 0 {
			l.Packets += (len(ms[i].Data) - 1) / size
		}
		l.Bytes += len(ms[i].Data)
	}
	return l
}

package plane

import (
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp/stats"
)

// worthCrew is how many packets make it worth to have somebody else seal them.
const worthCrew = 8

// crewSealer has the crew seal whole batches, one beside the other. The pipeline
// of the TUN queue gives each packet its place and its sequence number, in order,
// and another goroutine sends the batches in order.
type crewSealer struct {
	transmitter
	crew   *crew
	member int // of the crew, that the pipeline is

	line, spare chan *batch  // that are sealed and sent, in order; that are free
	flying      atomic.Int32 // batches that are not yet sent
}

// unsealed is one packet that has its place and its sequence number.
type unsealed struct {
	c     *child
	at, n int // offset in the slab, and inner bytes
	seq   uint64
	m     int // its message
}

// newCrewSealer makes the sealer of the TUN queue with this number.
func newCrewSealer(w *crew, t transmitter, queue int) *crewSealer {
	return &crewSealer{
		transmitter: t, crew: w, member: w.size + queue,
		line: make(chan *batch, w.size+2), spare: make(chan *batch, w.size+2),
	}
}

// withMemory implements sealer.
func (s *crewSealer) withMemory(first *batch, run func() error) error {
	memory, err := newSlab(cap(s.line) * sealSlab)
	if err != nil {
		return err
	}
	defer memory.free()
	first.slab = memory[:sealSlab]
	for at := sealSlab; at < len(memory); at += sealSlab {
		s.spare <- newBatch(memory[at : at+sealSlab])
	}
	var sender sync.WaitGroup
	sender.Go(s.transmitInOrder)
	defer sender.Wait()
	defer close(s.line)
	return run()
}

// seal implements sealer: the packets get their place and are sealed later. The
// lock is shared with the crew, which is enough to take sequence numbers.
func (s *crewSealer) seal(to *batch, c *child, b *Burst, i int) (n, bytes int, why stats.Counter) {
	c.crew.outMu.RLock()
	defer c.crew.outMu.RUnlock()
	if c.crew.closing.Load() {
		return 0, 0, stats.DropPolicy
	}
	seq, n, why := c.reserve(to, b, i)
	for k := range n {
		room := to.room()
		length := b.Put(room[c.out.HeaderLen():], i+k)
		u := unsealed{c: c, at: to.used, n: length, seq: seq + uint64(k)}
		to.append(room[:c.out.PacketLen(length)])
		u.m = len(to.ms) - 1
		to.unsealed = append(to.unsealed, u)
		bytes += length
	}
	c.crew.unsealed.Add(int64(n))
	return n, bytes, why
}

// send implements sealer. A batch that is small and alone is sealed and sent at
// once.
func (s *crewSealer) send(b *batch) *batch {
	if len(b.unsealed) < worthCrew && s.flying.Load() == 0 {
		b.do(s.member)
		<-b.ready
		s.transmit(b)
		return b
	}
	s.flying.Add(1)
	s.crew.work <- b
	s.line <- b
	return <-s.spare
}

// transmitInOrder sends the batches that the crew seals in the order of the line.
func (s *crewSealer) transmitInOrder() {
	for b := range s.line {
		<-b.ready
		s.transmit(b)
		s.flying.Add(-1)
		s.spare <- b
	}
}

// do implements task: it seals the packets of the batch, which is ready then.
func (b *batch) do(member int) {
	for i := 0; i < len(b.unsealed); {
		c := b.unsealed[i].c
		c.crew.outMu.RLock()
		out, from := c.sealer(member), i
		for ; i < len(b.unsealed) && b.unsealed[i].c == c; i++ {
			u := &b.unsealed[i]
			if out == nil { // deleted since; nothing of its message may leave
				b.ms[u.m].Data, b.spoilt = nil, true
				continue
			}
			out.Seal(b.slab[u.at:], u.n, u.seq)
		}
		c.crew.outMu.RUnlock()
		c.crew.sealed(i - from)
	}
	b.ready <- struct{}{}
}

package plane

import "github.com/warrenvpn/warren/esp/stats"

// inlineSealer has the pipeline of the TUN queue seal each packet as it comes, and
// send: with two processors or fewer handing work over costs more than it brings.
type inlineSealer struct{ transmitter }

// withMemory implements sealer.
func (s *inlineSealer) withMemory(first *batch, run func() error) error {
	memory, err := newSlab(sealSlab)
	if err != nil {
		return err
	}
	defer memory.free()
	first.slab = memory
	return run()
}

// seal implements sealer.
func (s *inlineSealer) seal(to *batch, c *child, b *Burst, i int) (n, bytes int, why stats.Counter) {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	seq, n, why := c.reserve(to, b, i)
	for k := range n {
		room := to.room()
		length := b.Put(room[c.out.HeaderLen():], i+k)
		to.append(c.out.Seal(room, length, seq+uint64(k)))
		bytes += length
	}
	return n, bytes, why
}

// send implements sealer.
func (s *inlineSealer) send(b *batch) *batch {
	s.transmit(b)
	return b
}

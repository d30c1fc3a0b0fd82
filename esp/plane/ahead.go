package plane

import (
	"encoding/binary"
	"sync"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
)

// worthAhead is how many bytes make it worth to have the crew decrypt them.
const worthAhead = 32 << 10

// ahead is what the crew does for a pipeline before it takes messages one after
// the other.
type ahead struct {
	messages []aheadMessage
	pending  sync.WaitGroup
}

// aheadMessage is one message whose packets are decrypted ahead.
type aheadMessage struct {
	in   *inbound
	m    *Message
	done []decrypted // for each datagram
}

// decrypted is what came of a datagram; c is nil where there was nothing to do.
type decrypted struct {
	c    *child
	body []byte
	seq  uint64
	err  error
}

// decryptAhead has the crew decrypt n messages, where that is worth it. Whether
// the packets may be accepted is judged later, one after the other.
func (in *inbound) decryptAhead(n int) {
	in.decrypted = nil
	if in.p.crew == nil || n < 2 || in.outer.Kind == KindIKE || in.p.muted.Load() || in.p.rations.Load() != nil {
		return
	}
	total := 0
	for i := range in.ms[:n] {
		total += len(in.ms[i].Data)
	}
	if total < worthAhead {
		return
	}
	a := &in.ahead
	if a.messages == nil {
		a.messages = make([]aheadMessage, len(in.ms))
	}
	a.pending.Add(n)
	for i := range in.ms[:n] {
		t := &a.messages[i]
		t.in, t.m, t.done = in, &in.ms[i], t.done[:0]
		in.p.crew.work <- t
	}
	a.pending.Wait()
	in.decrypted = a.messages[:n]
}

// do decrypts the message.
func (t *aheadMessage) do(member int) {
	defer t.in.ahead.pending.Done()
	var (
		c    *child
		x    *esp.Inbound
		last sa.SPI
	)
	eachDatagram(t.m, func(d []byte) {
		spi, ok := esp.SPI(d)
		if !ok || t.m.TooBig > 0 || t.in.outer.Kind == KindNATT && binary.BigEndian.Uint32(d) == 0 {
			t.done = append(t.done, decrypted{})
			return
		}
		if c == nil || spi != last {
			if c != nil {
				c.inMu.RUnlock()
			}
			if c = t.in.p.spis.Find(spi); c != nil {
				c.inMu.RLock()
				last, x = spi, c.opener(member)
			}
		}
		if c == nil || x == nil || c.bytesLimit > 0 {
			t.done = append(t.done, decrypted{})
			return
		}
		r := decrypted{c: c}
		r.body, r.seq, r.err = x.Decrypt(d)
		t.done = append(t.done, r)
	})
	if c != nil {
		c.inMu.RUnlock()
	}
}

// eachDatagram calls fn for the datagrams of a message.
func eachDatagram(m *Message, fn func(d []byte)) {
	size := m.Segment
	if size <= 0 {
		size = len(m.Data)
	}
	for data := m.Data; len(data) > 0; {
		n := min(size, len(data))
		fn(data[:n])
		data = data[n:]
	}
}

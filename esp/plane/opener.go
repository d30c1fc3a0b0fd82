package plane

import (
	"sync"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
)

// opener is who decrypts for the pipeline of a socket: the pipeline itself
// (inlineOpener), or the crew ahead of it (crewOpener). Whether a packet may be
// accepted is judged by the pipeline, one packet after the other.
type opener interface {
	// lock and unlock keep the inbound half of c to the pipeline.
	lock(c *child)
	unlock(c *child)
	// ahead decrypts the packets of messages where that is worth it, and returns
	// what became of each message; nil where it has done nothing.
	ahead(ms []Message) []aheadMessage
}

// newOpener returns the opener of the socket o.
func newOpener(e *espSide, o *outer) opener {
	if e.crew.size == 0 || o.Kind == KindIKE {
		return inlineOpener{}
	}
	return &crewOpener{esp: e, kind: o.Kind}
}

// inlineOpener does nothing ahead.
type inlineOpener struct{}

func (inlineOpener) lock(c *child)                  { c.inMu.Lock() }
func (inlineOpener) unlock(c *child)                { c.inMu.Unlock() }
func (inlineOpener) ahead([]Message) []aheadMessage { return nil }

// worthAhead is how many bytes make it worth to have the crew decrypt them.
const worthAhead = 32 << 10

// crewOpener has the crew decrypt the messages of one receive call, one beside the
// other.
type crewOpener struct {
	esp      *espSide
	kind     Kind // of the socket
	messages []aheadMessage
	pending  sync.WaitGroup
}

// aheadMessage is one message, whose packets the crew decrypts.
type aheadMessage struct {
	o    *crewOpener
	m    *Message
	done []decrypted // for each datagram
}

// decrypted is what became of a datagram; c is nil where there was nothing to do.
type decrypted struct {
	c    *child
	body []byte
	seq  uint64
	err  error
}

func (o *crewOpener) lock(c *child)   { c.crew.inMu.Lock() }
func (o *crewOpener) unlock(c *child) { c.crew.inMu.Unlock() }

// ahead implements opener.
func (o *crewOpener) ahead(ms []Message) []aheadMessage {
	if len(ms) < 2 || o.esp.muted.Load() || o.esp.tun.limited() {
		return nil
	}
	total := 0
	for i := range ms {
		total += len(ms[i].Data)
	}
	if total < worthAhead {
		return nil
	}
	if o.messages == nil {
		o.messages = make([]aheadMessage, manyMessages)
	}
	o.pending.Add(len(ms))
	for i := range ms {
		t := &o.messages[i]
		t.o, t.m, t.done = o, &ms[i], t.done[:0]
		o.esp.crew.work <- t
	}
	o.pending.Wait()
	return o.messages[:len(ms)]
}

// do implements task: it decrypts the message.
func (t *aheadMessage) do(member int) {
	defer t.o.pending.Done()
	var (
		c    *child
		x    *esp.Inbound
		last sa.SPI
	)
	eachDatagram(t.m, func(d []byte) {
		spi, ok := t.o.kind.spiOf(d)
		if !ok || t.m.TooBig > 0 {
			t.done = append(t.done, decrypted{})
			return
		}
		if c == nil || spi != last {
			if c != nil {
				c.crew.inMu.RUnlock()
			}
			if c = t.o.esp.spis.Find(spi); c != nil {
				c.crew.inMu.RLock()
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
		c.crew.inMu.RUnlock()
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

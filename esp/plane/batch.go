package plane

import (
	"net/netip"

	"github.com/warrenvpn/warren/esp/stats"
)

// batch is the packets of one send from a TUN queue.
type batch struct {
	slab     []byte // packets, sealed or to be sealed
	used     int
	ms       []Message
	to       *outer        // of ms
	header   outerHeader   // of the packets that come next
	unsealed []unsealed    // with a crew: in order
	ready    chan struct{} // with a crew: has one token when all is sealed
	spoilt   bool          // some messages are not to be sent
}

// outerHeader is what the outer IP headers of packets may differ in.
type outerHeader struct {
	remote netip.AddrPort
	tos    uint8
	df     bool
}

func newBatch(slab []byte) *batch { return &batch{slab: slab, ready: make(chan struct{}, 1)} }

// reset empties the batch.
func (b *batch) reset() {
	b.ms, b.used, b.unsealed, b.spoilt = b.ms[:0], 0, b.unsealed[:0], false
}

// room is the part of the slab that is not used.
func (b *batch) room() []byte { return b.slab[b.used:] }

// append adds the packet p, which lies at the start of the room, to what will be
// sent. Packets of one size that follow each other become one message.
func (b *batch) append(p []byte) {
	b.used += len(p)
	h := &b.header
	if n := len(b.ms); n > 0 {
		m := &b.ms[n-1]
		size := m.Segment
		if size == 0 {
			size = len(m.Data)
		}
		if len(p) <= size && len(m.Data)%size == 0 && len(m.Data)/size < maxSegments && len(m.Data)+len(p) <= maxSend &&
			m.Remote == h.remote && m.TOS == h.tos && m.DF == h.df {
			m.Segment = size
			m.Data = m.Data[:len(m.Data)+len(p)]
			return
		}
	}
	b.ms = append(b.ms, Message{Data: p, Remote: h.remote, TOS: h.tos, DF: h.df})
}

// transmitter sends batches that are sealed, and counts what does not leave.
type transmitter struct {
	*base
	stats *counters
}

// transmit sends the batch and empties it.
func (t *transmitter) transmit(b *batch) {
	ms := b.ms
	if b.spoilt {
		ms = ms[:0]
		for _, m := range b.ms {
			if m.Data == nil {
				t.stats.count(stats.DropPolicy, 1, 0)
				continue
			}
			ms = append(ms, m)
		}
	}
	switch {
	case len(ms) == 0:
	case t.muted.Load():
		loss := lossOf(ms)
		t.stats.count(stats.DropMuted, loss.Packets, loss.Bytes)
	default:
		loss, err := b.to.Conn.Send(ms)
		if err != nil {
			loss = lossOf(ms)
		}
		t.stats.count(stats.DropSend, loss.Packets, loss.Bytes)
	}
	b.reset()
}

// lossOf returns the loss of all messages.
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

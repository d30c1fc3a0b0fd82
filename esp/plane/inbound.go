package plane

import (
	"encoding/binary"
	"errors"
	"net"
	"os"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

const (
	// A batch of few big messages stays in the cache of the processor; a batch
	// of many small ones saves system calls.
	fewMessages  = 8
	bigMessage   = 2048
	messageSize  = 65536
	ikeBuffers   = 4
	manyMessages = 32
)

// inbound is the pipeline of one socket.
type inbound struct {
	esp   *espSide
	outer *outer
	rx    *Receiver // of what is opened

	backlog backlog
	ms      []Message
	cur     *child // whose inbound half is locked
	spi     sa.SPI
	packets uint64 // of cur, not yet counted
	bytes   uint64

	opener opener
	done   []decrypted // ahead, of the datagrams of this message that are still to come
}

// run moves packets until the socket is closed.
func (in *inbound) run() error {
	n := manyMessages
	if in.outer.Kind == KindIKE {
		n = ikeBuffers
	}
	waiting := backlogSize
	if in.outer.Kind == KindIKE {
		waiting = 0
	}
	memory, err := newSlab((n + waiting) * messageSize)
	if err != nil {
		return err
	}
	defer memory.free()
	in.ms = make([]Message, n)
	for i := range in.ms {
		in.ms[i].Buf = memory[i*messageSize : (i+1)*messageSize]
	}
	in.backlog.init(memory[n*messageSize:])
	err = in.receive()
	if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// receive handles messages until the socket fails.
func (in *inbound) receive() error {
	n := len(in.ms)
	window := min(n, fewMessages)
	for {
		got, err := in.outer.Conn.Receive(in.ms[:window])
		if err != nil {
			return err
		}
		total := in.batch(got)
		full, small := got == window, total < got*bigMessage
		switch {
		case full && small && window < n:
			window = n
		case full && len(in.backlog.nodes) > 0:
			if err := in.overload(); err != nil {
				return err
			}
		}
		if !small {
			window = min(n, fewMessages)
		}
	}
}

// batch processes the messages that arrived together, and returns their size.
func (in *inbound) batch(n int) (total int) {
	in.rx.Start()
	ahead := in.opener.ahead(in.ms[:n])
	for i := range in.ms[:n] {
		total += len(in.ms[i].Data)
		in.done = nil
		if ahead != nil {
			in.done = ahead[i].done
		}
		in.message(&in.ms[i])
	}
	in.done = nil
	in.endBatch()
	return total
}

// endBatch unlocks the current SA and delivers the joined packets.
func (in *inbound) endBatch() {
	in.switchTo(nil, 0)
	in.rx.Flush()
}

// message handles the datagrams of one message.
func (in *inbound) message(m *Message) {
	if m.TooBig > 0 {
		in.rx.stats.add(stats.ReceiveErrors, 1)
		in.switchTo(nil, 0)
		in.esp.lowerMTU(m)
		return
	}
	data := m.Data
	if len(data) == 0 {
		in.rx.stats.add(stats.ReceiveErrors, 1)
		return
	}
	size := m.Segment
	if size <= 0 {
		size = len(data)
	}
	for len(data) > 0 {
		d := data[:min(size, len(data))]
		data = data[len(d):]
		in.datagram(m, d)
		if len(in.done) > 0 {
			in.done = in.done[1:]
		}
	}
}

// datagram handles one datagram: ESP, IKE or a NAT keepalive.
func (in *inbound) datagram(m *Message, d []byte) {
	switch {
	case in.outer.Kind == KindIKE:
		in.receiveIKE(m, d)
	case in.outer.Kind == KindESP:
		in.receiveESP(m, d)
	case len(d) == 1 && d[0] == keepalive:
		in.rx.stats.add(stats.Keepalives, 1)
	case len(d) < markerLen:
		in.rx.Drop(stats.DropMalformed, 1, len(d))
	case binary.BigEndian.Uint32(d) == 0:
		in.receiveIKE(m, d[markerLen:])
	default:
		in.receiveESP(m, d)
	}
}

// spiOf returns the SPI of the ESP packet that a datagram of a socket of this kind
// is, and false where it is something else.
func (k Kind) spiOf(d []byte) (sa.SPI, bool) {
	spi, ok := esp.SPI(d)
	return spi, ok && k != KindIKE && (k != KindNATT || spi != 0) // 0: the non-ESP marker
}

// receiveIKE hands an IKE message to the engine.
func (in *inbound) receiveIKE(m *Message, d []byte) {
	if in.esp.muted.Load() {
		in.rx.Drop(stats.DropMuted, 1, len(d))
		return
	}
	in.rx.stats.add(stats.IKEIn, 1)
	if in.esp.handleIKE != nil {
		in.esp.handleIKE(in.outer.Local, m.Remote, d)
	}
}

// switchTo makes c, whose SPI is spi, the current SA: it counts the packets of
// the one before, unlocks it, and locks the inbound half of c. With nil there
// is no current SA afterwards. It reports false where c is nil or has been
// deleted.
func (in *inbound) switchTo(c *child, spi sa.SPI) bool {
	if in.cur != nil {
		if in.packets > 0 {
			in.cur.slot.CountIn(in.packets, in.bytes, in.rx.now)
			in.esp.checkVolume(in.cur, in.cur.slot.BytesIn(), in.rx.now)
		}
		in.opener.unlock(in.cur)
		if in.packets > 0 && in.cur.waits.Load() {
			in.esp.peerUses(in.cur)
		}
	}
	in.cur, in.spi, in.packets, in.bytes = nil, spi, 0, 0
	if c == nil {
		return false
	}
	in.opener.lock(c)
	if c.in == nil {
		in.opener.unlock(c)
		return false
	}
	in.cur = c
	return true
}

// receiveESP opens one ESP packet and delivers what is inside.
func (in *inbound) receiveESP(m *Message, d []byte) {
	if in.esp.muted.Load() {
		in.rx.Drop(stats.DropMuted, 1, len(d))
		return
	}
	spi, ok := esp.SPI(d)
	if !ok {
		in.rx.Drop(stats.DropMalformed, 1, len(d))
		return
	}
	if in.cur == nil || in.spi != spi {
		if !in.switchTo(in.esp.spis.Find(spi), spi) {
			in.rx.Drop(stats.DropSPI, 1, len(d))
			in.esp.unknown.packet(spi, in.outer.Local, m.Remote)
			return
		}
	}
	c := in.cur
	if c.bytesLimit > 0 && c.slot.BytesIn() >= c.bytesLimit {
		in.esp.checkVolume(c, c.slot.BytesIn(), in.rx.now)
		in.rx.Drop(stats.DropVolume, 1, len(d))
		return
	}
	if !in.rx.police(&c.link, len(d)) {
		return
	}
	inner, newest, err := in.open(c, m, d)
	if err != nil {
		in.rx.Drop(dropCause(err), 1, len(d))
		if err != esp.ErrDummy && err != esp.ErrSelector && err != esp.ErrECN {
			return
		}
	}
	if newest {
		in.checkPath(c, m)
	}
	if err != nil {
		return
	}
	in.packets++
	in.bytes += uint64(len(inner))
	in.rx.deliver(&c.link, spi, inner, c.in.Inner())
}

// open opens one packet, or accepts what the crew has decrypted of it.
func (in *inbound) open(c *child, m *Message, d []byte) (inner []byte, newest bool, err error) {
	if len(in.done) == 0 || in.done[0].c == nil {
		return c.in.Open(d, m.TOS)
	}
	r := &in.done[0]
	switch {
	case r.c != c: // the SPI has another owner now, who cannot open it again
		return nil, false, esp.ErrIntegrity
	case r.err != nil:
		return nil, false, r.err
	}
	return c.in.Accept(r.body, r.seq, m.TOS)
}

// dropCause names the counter for an error of Inbound.Open.
func dropCause(err error) stats.Counter {
	switch err {
	case esp.ErrReplay:
		return stats.DropReplay
	case esp.ErrIntegrity:
		return stats.DropIntegrity
	case esp.ErrSelector:
		return stats.DropSelector
	case esp.ErrDummy:
		return stats.DropDummy
	case esp.ErrECN:
		return stats.DropECN
	}
	return stats.DropMalformed
}

// checkPath reports that the newest packet of c came from another address than
// that of the peer (RFC 7296 section 2.23).
func (in *inbound) checkPath(c *child, m *Message) {
	to := c.path.Load()
	if to.remote == m.Remote || to.encap != sa.EncapUDP || in.outer.Kind != KindNATT {
		return
	}
	if c.told(ReportMoved, in.rx.now) {
		in.esp.report(Report{Kind: ReportMoved, Child: c.id, Local: in.outer.Local, Remote: m.Remote,
			Encap: sa.EncapUDP})
	}
}

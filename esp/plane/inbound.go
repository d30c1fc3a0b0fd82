package plane

import (
	"encoding/binary"
	"errors"
	"net"
	"os"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// RFC 3948.
const (
	markerLen = 4    // section 2.2: four zero bytes in front of IKE
	keepalive = 0xff // section 2.3
)

const (
	// A batch of big messages goes round in the processor's cache; a batch of
	// small ones saves system calls.
	fewMessages  = 8
	bigMessage   = 2048
	messageSize  = 65536
	ikeBuffers   = 4
	manyMessages = 32
)

// inbound is the pipeline of one socket.
type inbound struct {
	p     *Plane
	outer *outer
	join  *tun.Coalescer
	stats counters

	backlog backlog
	now     int64
	clock   int64 // as now, in nanoseconds
	taps    *[]Tap
	options *Options // what join was told of
	ms      []Message
	cur     *child // whose inMu is held
	spi     sa.SPI
	packets uint64 // of cur, not yet counted

	ahead     ahead
	decrypted []aheadMessage // of this batch; nil: not done ahead
	done      []decrypted    // of the datagrams of this message that are still to come
	bytes     uint64
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

// receive moves packets until there is an error.
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
	in.tick()
	in.decryptAhead(n)
	for i := range in.ms[:n] {
		total += len(in.ms[i].Data)
		in.done = nil
		if in.decrypted != nil {
			in.done = in.decrypted[i].done
		}
		in.message(&in.ms[i])
	}
	in.decrypted, in.done = nil, nil
	in.finish()
	return total
}

// tick looks at the clock.
func (in *inbound) tick() {
	now := in.p.now()
	in.now, in.clock, in.taps = now.Unix(), now.UnixNano(), in.p.taps.Load()
	if o := in.p.options.Load(); o != in.options {
		in.options = o
		in.join.Refresh()
	}
}

// finish lets go of the SA, delivers what is joined, and counts it.
func (in *inbound) finish() {
	in.hold(nil, 0)
	in.join.Flush()
	in.stats.count(stats.PacketsIn, in.join.Packets, in.join.Bytes)
	in.stats.count(stats.DropDeliver, in.join.Failed, in.join.FailedBytes)
	in.stats.add(stats.SuperPackets, in.join.Supers)
	in.join.Packets, in.join.Bytes, in.join.Failed, in.join.FailedBytes, in.join.Supers = 0, 0, 0, 0, 0
}

// message takes a message of the socket apart.
func (in *inbound) message(m *Message) {
	if m.TooBig > 0 {
		in.stats.add(stats.ReceiveErrors, 1)
		in.hold(nil, 0)
		in.p.lowerMTU(m)
		return
	}
	data := m.Data
	if len(data) == 0 {
		in.stats.add(stats.ReceiveErrors, 1)
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

// datagram tells ESP, IKE and keepalives apart.
func (in *inbound) datagram(m *Message, d []byte) {
	switch {
	case in.outer.Kind == KindIKE:
		in.ike(m, d)
	case in.outer.Kind == KindESP:
		in.esp(m, d)
	case len(d) == 1 && d[0] == keepalive:
		in.stats.add(stats.Keepalives, 1)
	case len(d) < markerLen:
		in.stats.count(stats.DropMalformed, 1, len(d))
	case binary.BigEndian.Uint32(d) == 0:
		in.ike(m, d[markerLen:])
	default:
		in.esp(m, d)
	}
}

func (in *inbound) ike(m *Message, d []byte) {
	if in.p.muted.Load() {
		in.stats.count(stats.DropMuted, 1, len(d))
		return
	}
	in.stats.add(stats.IKEIn, 1)
	if in.p.cfg.IKE != nil {
		in.p.cfg.IKE(in.outer.Local, m.Remote, d)
	}
}

// hold locks the inbound half of c, which has this SPI, and lets go of the one
// before. It reports false where c has been deleted.
func (in *inbound) hold(c *child, spi sa.SPI) bool {
	if in.cur != nil {
		if in.packets > 0 {
			in.cur.slot.CountIn(in.packets, in.bytes, in.now)
			in.p.checkVolume(in.cur, in.cur.slot.BytesIn(), in.now)
		}
		in.cur.inMu.Unlock()
		if in.packets > 0 && in.cur.waits.Load() {
			in.p.heard(in.cur)
		}
	}
	in.cur, in.spi, in.packets, in.bytes = nil, spi, 0, 0
	if c == nil {
		return false
	}
	c.inMu.Lock()
	if c.in == nil {
		c.inMu.Unlock()
		return false
	}
	in.cur = c
	return true
}

// esp opens one ESP packet and passes it on.
func (in *inbound) esp(m *Message, d []byte) {
	if in.p.muted.Load() {
		in.stats.count(stats.DropMuted, 1, len(d))
		return
	}
	spi, ok := esp.SPI(d)
	if !ok {
		in.stats.count(stats.DropMalformed, 1, len(d))
		return
	}
	if in.cur == nil || in.spi != spi {
		if !in.hold(in.p.spis.Find(spi), spi) {
			in.stats.count(stats.DropSPI, 1, len(d))
			in.p.unknown.packet(spi, in.outer.Local, m.Remote)
			return
		}
	}
	c := in.cur
	if c.bytesLimit > 0 && c.slot.BytesIn() >= c.bytesLimit {
		in.p.checkVolume(c, c.slot.BytesIn(), in.now)
		in.stats.count(stats.DropVolume, 1, len(d))
		return
	}
	if !in.rationIn(c, len(d)) {
		return
	}
	inner, newest, err := in.open(c, m, d)
	if err != nil {
		in.stats.count(dropCause(err), 1, len(d))
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
	if in.taps != nil {
		show(in.taps, true, spi, inner)
	}
	in.packets++
	in.bytes += uint64(len(inner))
	h := c.in.Inner()
	if h.Protocol == esp.ProtoTCP {
		to := c.path.Load()
		clampMSS(inner, h, to, true)
	}
	in.join.Add(inner)
}

// open opens one packet, or goes on with what the crew has made of it.
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

// checkPath reports a peer that is somewhere else now.
func (in *inbound) checkPath(c *child, m *Message) {
	to := c.path.Load()
	if to.remote == m.Remote || to.encap != sa.EncapUDP || in.outer.Kind != KindNATT {
		return
	}
	if c.toldAt[ReportMoved].Swap(in.now) != in.now {
		in.p.report(Report{Kind: ReportMoved, Child: c.id, Local: in.outer.Local, Remote: m.Remote, Encap: sa.EncapUDP})
	}
}

// checkVolume reports a child that is near its volume limit, or at it.
func (p *Plane) checkVolume(c *child, bytes uint64, now int64) {
	if c.bytesLimit == 0 {
		return
	}
	if bytes >= c.bytesLimit-c.bytesLimit/8 {
		p.repeat(c, ReportRekey, now)
	}
	if bytes >= c.bytesLimit {
		p.repeat(c, ReportExpired, now)
	}
}

// repeat sends a report about c, once a second at most: one may be lost, and what
// it asks for may fail.
func (p *Plane) repeat(c *child, k ReportKind, now int64) {
	if c.toldAt[k].Swap(now) != now {
		p.report(Report{Kind: k, Child: c.id})
	}
}

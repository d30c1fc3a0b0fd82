package plane

import (
	"errors"
	"os"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/tun"
)

const (
	// sealSlab holds the sealed packets that wait for one send; a send starts
	// when it is half full, so that a super-packet of any kind can follow.
	sealSlab = 256 << 10
	sealGoal = sealSlab / 2
	// maxChunk bounds the packets that are sealed under one lock.
	maxChunk = 512
)

// outbound is the pipeline of one TUN queue.
type outbound struct {
	p     *Plane
	dev   tun.Device
	index int
	stats counters

	now     int64
	taps    *[]Tap
	in      []byte // what was read
	scratch []byte // packets that need more work
	slab    []byte // sealed packets
	used    int
	ms      []Message
	to      *outer // of ms
	super   tun.Super
	inner   esp.Inner
	icmp    limiter
	pieces  [2][]byte
}

// run moves packets until the device is closed.
func (o *outbound) run() error {
	const read = tun.HeaderLen + tun.MaxPacket + 64
	memory, err := newSlab(2*read + sealSlab)
	if err != nil {
		return err
	}
	defer memory.free()
	o.in, o.scratch, o.slab = memory[:read], memory[read:2*read], memory[2*read:]
	o.icmp.perSecond = 1000
	for {
		n, err := o.dev.Read(o.in)
		o.now, o.taps = o.p.now().Unix(), o.p.taps.Load()
		// Go on while there is more: what follows may fill the last send.
		for err == nil {
			o.packet(o.in[:n])
			if o.used >= sealGoal {
				o.flush()
			}
			n, err = o.dev.TryRead(o.in)
		}
		o.flush()
		if errors.Is(err, tun.ErrAgain) {
			continue
		}
		if errors.Is(err, os.ErrClosed) && o.p.isStopped() {
			return nil
		}
		return err
	}
}

func (p *Plane) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// packet seals one packet or super-packet of the device.
func (o *outbound) packet(b []byte) {
	s := &o.super
	if tun.ParseSuper(b, s) != nil || !esp.ParseInner(s.Bytes(), &o.inner) {
		o.stats.drop(dropMalformed, 1, max(0, len(b)-tun.HeaderLen))
		return
	}
	if o.p.muted.Load() {
		o.stats.drop(dropMuted, s.Count(), s.Total())
		return
	}
	c := o.p.policies.Find(&o.inner)
	if c == nil {
		o.stats.drop(dropPolicy, s.Count(), s.Total())
		return
	}
	to := c.path.Load()
	if to.outer == nil {
		o.stats.drop(dropNoSocket, s.Count(), s.Total())
		return
	}
	if o.inner.Protocol == esp.ProtoTCP {
		clampMSS(s.Bytes(), &o.inner, to, !s.Partial())
	}
	limit := to.inner4
	if o.inner.V6 {
		limit = to.inner6
	}
	if !s.Shrink(limit) {
		o.tooBig(c, to, limit)
		return
	}
	o.seal(c, to, s.Count(), s.Size(), 0)
}

// seal seals n packets of at most size bytes: the segments of the super-packet,
// or where fragment is not 0, the fragments of that size of the packet in
// scratch.
func (o *outbound) seal(c *child, to *path, n, size, fragment int) {
	if o.to != to.outer {
		o.flush()
		o.to = to.outer
	}
	df := o.outerDF(to)
	if c.bytesLimit > 0 && c.slot.BytesOut() >= c.bytesLimit {
		o.stats.drop(dropVolume, n, o.bytesFrom(0, n, fragment))
		return
	}
	n = o.rationOut(c, n, size)
	for i := 0; i < n; {
		if o.used >= sealGoal {
			o.flush()
		}
		c.outMu.Lock()
		if c.out == nil {
			c.outMu.Unlock()
			o.stats.drop(dropPolicy, n-i, o.bytesFrom(i, n, fragment))
			return
		}
		chunk := min(n-i, maxChunk, max(1, (len(o.slab)-o.used)/(c.out.PacketLen(size)+16)))
		seq, ok := o.reserve(c, chunk)
		if !ok {
			c.outMu.Unlock()
			o.stats.drop(dropSequence, n-i, o.bytesFrom(i, n, fragment))
			return
		}
		bytes := 0
		header := c.out.HeaderLen()
		for k := range chunk {
			b := o.slab[o.used:]
			var length int
			if fragment > 0 {
				length = putFragment(b[header:], o.scratch, &o.inner, fragment, i+k)
			} else {
				length = o.super.Put(b[header:], i+k)
			}
			if o.taps != nil {
				show(o.taps, false, c.outSPI, b[header:header+length])
			}
			o.append(c.out.Seal(b, length, seq+uint64(k)), to, df)
			bytes += length
		}
		c.outMu.Unlock()
		c.slot.CountOut(uint64(chunk), uint64(bytes), o.now)
		o.stats.add(statPacketsOut, chunk)
		o.stats.add(statBytesOut, bytes)
		i += chunk
	}
	o.p.checkVolume(c, c.slot.BytesOut())
}

// bytesFrom returns the bytes of packets i to n that seal was asked for.
func (o *outbound) bytesFrom(i, n, fragment int) (bytes int) {
	if fragment > 0 {
		return max(0, o.inner.Len-i*fragment)
	}
	for ; i < n; i++ {
		bytes += o.super.Len(i)
	}
	return bytes
}

// reserve takes sequence numbers, and reports when they run out.
// The caller holds the lock of c.
func (o *outbound) reserve(c *child, n int) (uint64, bool) {
	seq, ok := c.out.Reserve(n)
	ceiling := c.out.Ceiling()
	next := c.slot.OutNext()
	if next > ceiling-ceiling/8 {
		o.p.once(c, ReportRekey)
	}
	limit := c.slot.OutLimit()
	if !ok && (limit == 0 || limit >= ceiling) {
		o.p.once(c, ReportExpired)
		return 0, false
	}
	if limit != 0 {
		if limit != c.lastLimit {
			c.lastLimit = limit
			c.askAt = limit - (limit-min(next, limit))/4
		}
		if (!ok || next >= c.askAt) && c.toldAt[ReportReserve].Swap(o.now) != o.now {
			o.p.report(Report{Kind: ReportReserve, Child: c.id})
		}
	}
	return seq, ok
}

// outerDF decides on the Don't Fragment bit of the outer header (RFC 4301
// section 8.1).
func (o *outbound) outerDF(to *path) bool {
	switch o.p.options.Load().DF {
	case DFSet:
		return true
	case DFClear:
		return false
	}
	if o.inner.V6 {
		// A path too narrow for what IPv6 guarantees has to fragment outside.
		return to.inner4 >= to.inner6
	}
	return o.inner.DF
}

// append adds a sealed packet, which lies at the end of the used part of the
// slab, to what will be sent. Packets of one size that follow each other become
// one message.
func (o *outbound) append(b []byte, to *path, df bool) {
	if n := len(o.ms); n > 0 {
		m := &o.ms[n-1]
		size := m.Segment
		if size == 0 {
			size = len(m.Data)
		}
		if len(b) <= size && len(m.Data)%size == 0 && len(m.Data)/size < maxSegments && len(m.Data)+len(b) <= maxSend &&
			m.Remote == to.remote && m.TOS == o.inner.TOS && m.DF == df {
			m.Segment = size
			m.Data = m.Data[:len(m.Data)+len(b)]
			o.used += len(b)
			return
		}
	}
	o.ms = append(o.ms, Message{Data: b, Remote: to.remote, TOS: o.inner.TOS, DF: df})
	o.used += len(b)
}

// flush sends what is waiting.
func (o *outbound) flush() {
	if len(o.ms) > 0 {
		loss, err := o.to.Conn.Send(o.ms)
		if err != nil {
			loss = lossOf(o.ms)
		}
		o.stats.drop(dropSend, loss.Packets, loss.Bytes)
	}
	o.ms, o.used = o.ms[:0], 0
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

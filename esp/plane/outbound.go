package plane

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/stats"
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
	*batch // that is being filled

	p      *Plane
	dev    tun.Device
	index  int
	member int // of the crew, among those that are pipelines
	stats  counters

	// With a crew: batches that are sealed and sent, in order, those that are
	// free, and the number of those that are not yet sent.
	line, spare chan *batch
	flying      atomic.Int32

	now     int64
	taps    *[]Tap
	in      []byte // what was read
	scratch []byte // packets that need more work
	super   tun.Super
	inner   esp.Inner
	again   bool // the SA was deleted when it was to seal: look again, once
	icmp    limiter
	pieces  [2][]byte
}

// begin gives the pipeline its memory, and with a crew its line; end takes both
// away.
func (o *outbound) begin() (end func(), err error) {
	const read = tun.HeaderLen + tun.MaxPacket + 64
	batches := 1
	if o.p.crew != nil {
		batches = o.p.crew.size + 2
	}
	memory, err := newSlab(2*read + batches*sealSlab)
	if err != nil {
		return nil, err
	}
	o.in, o.scratch, o.slab = memory[:read], memory[read:2*read], memory[2*read:2*read+sealSlab]
	if batches == 1 {
		return memory.free, nil
	}
	o.line, o.spare = make(chan *batch, batches), make(chan *batch, batches)
	for i := 1; i < batches; i++ {
		from := 2*read + i*sealSlab
		o.spare <- &batch{slab: memory[from : from+sealSlab], ready: make(chan struct{}, 1)}
	}
	var sender sync.WaitGroup
	sender.Go(o.sendInOrder)
	return func() {
		close(o.line)
		sender.Wait()
		memory.free()
	}, nil
}

// run moves packets until the device is closed.
func (o *outbound) run() error {
	end, err := o.begin()
	if err != nil {
		return err
	}
	defer end()
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
		o.stats.count(stats.DropMalformed, 1, max(0, len(b)-tun.HeaderLen))
		return
	}
	if o.p.muted.Load() {
		o.stats.count(stats.DropMuted, s.Count(), s.Total())
		return
	}
	o.again = false
	o.route()
}

// route finds the SA for the super-packet, and seals it.
func (o *outbound) route() {
	s := &o.super
	c := o.p.policies.Find(&o.inner)
	if c == nil && o.inner.Dst.IsMulticast() { // of the kernel, which does not forward it
		o.stats.count(stats.DropPolicy, s.Count(), s.Total())
		return
	}
	if c == nil {
		o.stats.count(stats.DropClear, s.Count(), s.Total())
		if o.p.clear.allow(o.now) {
			o.p.report(Report{Kind: ReportClear, Local: netip.AddrPortFrom(o.inner.Src, 0), Remote: netip.AddrPortFrom(o.inner.Dst, 0)})
		}
		return
	}
	to := c.path.Load()
	if to.outer == nil {
		o.stats.count(stats.DropNoSocket, s.Count(), s.Total())
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
		o.p.checkVolume(c, c.slot.BytesOut(), o.now)
		o.stats.count(stats.DropVolume, n, o.bytesFrom(0, n, fragment))
		return
	}
	n = o.rationOut(c, n, size)
	for i := 0; i < n; {
		if o.used >= sealGoal {
			o.flush()
		}
		o.lock(c)
		if c.out == nil {
			o.unlock(c)
			if i == 0 && fragment == 0 && !o.again { // its successor may be there
				o.again = true
				o.route()
				return
			}
			o.stats.count(stats.DropPolicy, n-i, o.bytesFrom(i, n, fragment))
			return
		}
		chunk := min(n-i, maxChunk, max(1, (len(o.slab)-o.used)/(c.out.PacketLen(size)+16)))
		seq, ok := o.reserve(c, chunk)
		if !ok {
			o.unlock(c)
			o.stats.count(stats.DropSequence, n-i, o.bytesFrom(i, n, fragment))
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
			if o.line == nil {
				o.append(c.out.Seal(b, length, seq+uint64(k)), to, df)
			} else {
				u := unsealed{c: c, at: o.used, n: length, seq: seq + uint64(k)}
				o.append(b[:c.out.PacketLen(length)], to, df)
				u.m = len(o.ms) - 1
				o.unsealed = append(o.unsealed, u)
			}
			bytes += length
		}
		if o.line != nil {
			c.unsealed.Add(int64(chunk))
		}
		o.unlock(c)
		c.slot.CountOut(uint64(chunk), uint64(bytes), o.now)
		o.stats.count(stats.PacketsOut, chunk, bytes)
		i += chunk
	}
	o.p.checkVolume(c, c.slot.BytesOut(), o.now)
}

// lock takes the outbound half of c: with a crew shared with others, which is
// enough to take sequence numbers; without one to seal, too.
func (o *outbound) lock(c *child) {
	if o.line != nil {
		c.outMu.RLock()
	} else {
		c.outMu.Lock()
	}
}

func (o *outbound) unlock(c *child) {
	if o.line != nil {
		c.outMu.RUnlock()
	} else {
		c.outMu.Unlock()
	}
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
		o.p.repeat(c, ReportRekey, o.now)
	}
	limit := c.slot.OutLimit()
	if !ok && (limit == 0 || limit >= ceiling) {
		o.p.repeat(c, ReportExpired, o.now)
		return 0, false
	}
	if limit != 0 {
		if c.lastLimit.Swap(limit) != limit {
			c.askAt.Store(limit - (limit-min(next, limit))/4)
		}
		if !ok || next >= c.askAt.Load() {
			o.p.repeat(c, ReportReserve, o.now)
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

package plane

import (
	"errors"
	"net/netip"
	"os"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// queue is the pipeline of one TUN queue: it finds the carrier of each packet or
// super-packet, and gives it to the carrier in a shape that it can carry.
type queue struct {
	tun    *tunSide
	dev    tun.Device
	stats  counters
	burst  Burst
	in     []byte // what was read
	icmp   limiter
	pieces [2][]byte
}

// run moves packets until the device is closed.
func (q *queue) run() error {
	const read = tun.HeaderLen + tun.MaxPacket + 64
	memory, err := newSlab(2 * read)
	if err != nil {
		return err
	}
	defer memory.free()
	q.in, q.burst.scratch = memory[:read], memory[read:]
	for {
		n, err := q.dev.Read(q.in)
		q.burst.now, q.burst.taps = q.tun.now().Unix(), q.tun.taps.Load()
		// Go on while there is more: what follows may fill the last send.
		for err == nil {
			q.packet(q.in[:n])
			n, err = q.dev.TryRead(q.in)
		}
		q.flush()
		if errors.Is(err, tun.ErrAgain) {
			continue
		}
		if errors.Is(err, os.ErrClosed) && q.tun.stopped.Load() {
			return nil
		}
		return err
	}
}

// flush has the carriers send what they have held back.
func (q *queue) flush() {
	for _, f := range q.burst.pending {
		f.Flush()
	}
	q.burst.pending = q.burst.pending[:0]
}

// packet carries one packet or super-packet of the device.
func (q *queue) packet(b []byte) {
	s := &q.burst.super
	if tun.ParseSuper(b, s) != nil || !esp.ParseInner(s.Bytes(), &q.burst.inner) {
		q.stats.count(stats.DropMalformed, 1, max(0, len(b)-tun.HeaderLen))
		return
	}
	if q.tun.muted.Load() {
		q.drop(stats.DropMuted)
		return
	}
	for range 2 { // a carrier that was closed when it was to send may have a successor
		if q.forward() {
			return
		}
	}
	q.burst.Drop(stats.DropPolicy, 0)
}

// drop counts the packet or super-packet as dropped.
func (q *queue) drop(why stats.Counter) {
	q.stats.count(why, q.burst.super.Count(), q.burst.super.Total())
}

// forward finds the carrier of the packet or super-packet and gives it to it. It
// returns false where that carrier has been closed meanwhile.
func (q *queue) forward() bool {
	s, inner := &q.burst.super, &q.burst.inner
	l := q.tun.policies.Find(inner)
	if l == nil {
		q.dropClear()
		return true
	}
	if why, blocked := l.carrier.Blocked(q.burst.now); blocked {
		q.drop(why)
		return true
	}
	limit := l.carrier.MTU(inner.V6)
	if isSYN(s.Bytes(), inner) {
		clampMSS(s.Bytes(), inner, limit, !s.Partial())
	}
	if !s.Shrink(limit) {
		q.tooBig(l, limit)
		return true
	}
	return q.send(l, s.Count(), s.Size(), 0)
}

// dropClear drops what no carrier takes: it must not leave in clear.
func (q *queue) dropClear() {
	inner := &q.burst.inner
	if inner.Dst.IsMulticast() { // of the kernel, which does not forward it
		q.drop(stats.DropPolicy)
		return
	}
	q.drop(stats.DropClear)
	if q.tun.clear.allow(q.burst.now) {
		from, to := netip.AddrPortFrom(inner.Src, 0), netip.AddrPortFrom(inner.Dst, 0)
		q.tun.report(Report{Kind: ReportClear, Local: from, Remote: to})
	}
}

// send gives a carrier n packets of at most size bytes: the segments of the
// super-packet, or where fragment is not 0, the fragments of that size of the
// packet in scratch. It returns false where the carrier has been closed.
func (q *queue) send(l *Link, n, size, fragment int) bool {
	b := &q.burst
	b.n, b.size, b.fragment, b.spi = q.police(l, n, size), size, fragment, l.spi
	if b.n == 0 {
		return true
	}
	b.packets, b.bytes = 0, 0
	ok := l.carrier.Send(b)
	q.stats.count(stats.PacketsOut, b.packets, b.bytes)
	return ok
}

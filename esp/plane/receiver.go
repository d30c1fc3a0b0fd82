package plane

import (
	"slices"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// Receiver is the way of packets into the TUN device, for one goroutine that
// receives from a carrier: it keeps them within the limits, checks their
// selectors, shows them to the taps, clamps the MSS of TCP, joins them and counts
// them. Packets of one batch stand between Start and Flush. It is not safe for
// concurrent use.
type Receiver struct {
	tun     *tunSide
	join    *tun.Coalescer
	stats   counters
	now     int64 // Unix seconds
	clock   int64 // as now, in nanoseconds
	taps    *[]Tap
	options *Options // what join was told of
	inner   esp.Inner
}

// NewReceiver returns a Receiver for one more goroutine. It is closed at the end.
func (p *Plane) NewReceiver() *Receiver { return p.tun.receiver() }

// Start begins a batch: it looks at the clock and at what has been set.
func (r *Receiver) Start() {
	now := r.tun.now()
	r.now, r.clock, r.taps = now.Unix(), now.UnixNano(), r.tun.taps.Load()
	if o := r.tun.options.Load(); o != r.options {
		r.options = o
		r.join.Refresh()
	}
}

// Deliver gives the device a packet that the carrier of l has received, or counts
// why not. The packet must be authentic; it must not change before Flush, which
// may change it.
func (r *Receiver) Deliver(l *Link, packet []byte) {
	switch {
	case r.tun.muted.Load():
		r.Drop(stats.DropMuted, 1, len(packet))
	case !r.police(l, len(packet)):
	case !esp.ParseInner(packet, &r.inner):
		r.Drop(stats.DropMalformed, 1, len(packet))
	case !esp.Covers(l.covers[0], l.covers[1], &r.inner):
		r.Drop(stats.DropSelector, 1, len(packet))
	default:
		r.deliver(l, l.spi, packet[:r.inner.Len], &r.inner)
	}
}

// deliver is the second half of Deliver for a packet whose headers h were read and
// checked. Taps are told the SPI.
func (r *Receiver) deliver(l *Link, spi sa.SPI, packet []byte, h *esp.Inner) {
	if r.taps != nil {
		callTaps(r.taps, true, spi, packet)
	}
	if isSYN(packet, h) {
		clampMSS(packet, h, l.carrier.MTU(h.V6), true)
	}
	r.join.Add(packet)
}

// Drop counts packets that were dropped before Deliver, with their bytes as they
// were received.
func (r *Receiver) Drop(why stats.Counter, packets, bytes int) { r.stats.count(why, packets, bytes) }

// Flush ends a batch: it delivers what is joined, and counts it.
func (r *Receiver) Flush() {
	j := r.join
	j.Flush()
	r.stats.count(stats.PacketsIn, j.Packets, j.Bytes)
	r.Drop(stats.DropDeliver, j.Failed, j.FailedBytes)
	r.stats.add(stats.SuperPackets, j.Supers)
	j.ResetStats()
}

// Close ends the use of r; what it has counted stays counted.
func (r *Receiver) Close() {
	t := r.tun
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.receivers, r)
	if i < 0 {
		return
	}
	t.receivers = slices.Delete(t.receivers, i, i+1)
	t.other.merge(&r.stats)
}

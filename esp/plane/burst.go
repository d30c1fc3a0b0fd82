package plane

import (
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// Burst is packets of one flow on their way to a peer: one packet, the segments
// of a super-packet, or the fragments of a packet. It is valid while
// Carrier.Send runs. It is not safe for concurrent use.
type Burst struct {
	super    tun.Super // what the device gave
	inner    esp.Inner // its headers
	scratch  []byte    // a packet of super that needs more work
	fragment int       // not 0: the packets are the fragments of this size of scratch
	n, size  int       // packets, and the bytes of the largest

	// What Put has written since the pipeline looked last.
	packets, bytes int

	queue   int
	now     int64
	taps    *[]Tap
	spi     sa.SPI
	stats   *counters
	pending []Flusher
}

// Len returns the number of packets.
func (b *Burst) Len() int { return b.n }

// Size returns the size in bytes of the largest packet.
func (b *Burst) Size() int { return b.size }

// Inner returns what the headers of the packets say, but for their lengths.
func (b *Burst) Inner() *esp.Inner { return &b.inner }

// Queue returns the number of the TUN queue, from 0. The bursts of one queue are
// sent by one goroutine, one after the other.
func (b *Burst) Queue() int { return b.queue }

// Now returns the time in Unix seconds.
func (b *Burst) Now() int64 { return b.now }

// Put writes packet i to the start of dst, which has room for Size bytes, and
// returns its length. It counts the packet as carried and shows it to the taps,
// so it is called once for each packet that is sent.
func (b *Burst) Put(dst []byte, i int) int {
	var n int
	if b.fragment > 0 {
		n = putFragment(dst, b.scratch, &b.inner, b.fragment, i)
	} else {
		n = b.super.Put(dst, i)
	}
	if b.taps != nil {
		callTaps(b.taps, false, b.spi, dst[:n])
	}
	b.packets++
	b.bytes += n
	return n
}

// Drop counts the packets from number i on as dropped for a cause.
func (b *Burst) Drop(why stats.Counter, i int) { b.stats.count(why, b.n-i, b.bytesFrom(i)) }

// bytesFrom returns the bytes of the packets from number i on.
func (b *Burst) bytesFrom(i int) (bytes int) {
	if b.fragment > 0 {
		return max(0, b.inner.Len-i*b.fragment)
	}
	for ; i < b.n; i++ {
		bytes += b.super.Len(i)
	}
	return bytes
}

// FlushLater has f called when the TUN queue has nothing more to read for now.
// A flusher that is there already is called once.
func (b *Burst) FlushLater(f Flusher) {
	for _, p := range b.pending {
		if p == f {
			return
		}
	}
	b.pending = append(b.pending, f)
}

package plane_test

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// stream is a carrier that is not ESP: packets go over a stream of bytes, each
// behind its length, as TLS would carry them. What it has gathered leaves with
// Flush.
type stream struct {
	mtu int

	mu      sync.Mutex // guards what follows
	pending []byte
	wire    [][]byte // what was flushed
	blocked bool
	closed  bool
}

func (s *stream) MTU(bool) int { return s.mtu }

func (s *stream) Blocked(int64) (stats.Counter, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return stats.DropSend, s.blocked
}

func (s *stream) Send(b *plane.Burst) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	for i := range b.Len() {
		at := len(s.pending)
		s.pending = append(s.pending, make([]byte, 2+b.Size())...)
		n := b.Put(s.pending[at+2:], i)
		binary.BigEndian.PutUint16(s.pending[at:], uint16(n))
		s.pending = s.pending[:at+2+n]
	}
	b.FlushLater(s)
	return true
}

func (s *stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire = append(s.wire, s.pending)
	s.pending = nil
}

// set changes the stream while it is in use.
func (s *stream) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// packets waits for n packets that were flushed, and takes them off the wire.
func (s *stream) packets(t *testing.T, n int) (out [][]byte) {
	t.Helper()
	until(t, "packets on the stream", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range s.wire {
			for len(b) > 0 {
				length := int(binary.BigEndian.Uint16(b))
				out, b = append(out, b[2:2+length]), b[2+length:]
			}
		}
		s.wire = nil
		return len(out) >= n
	})
	return out
}

// watcher is a Tap that keeps what it sees.
type watcher struct {
	mu      sync.Mutex // guards what follows
	in, out [][]byte
}

func (w *watcher) Packet(inbound bool, spi sa.SPI, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if inbound {
		w.in = append(w.in, bytes.Clone(b))
	} else {
		w.out = append(w.out, bytes.Clone(b))
	}
}

var (
	behindA = esptest.Selectors("10.1.0.0/16", "2001:db8:1::/48")
	behindB = esptest.Selectors("10.2.0.0/16", "2001:db8:2::/48")
)

// streamed returns a gateway whose packets to B go over a stream.
func streamed(t *testing.T) (*gateway, *stream, *plane.Link) {
	t.Helper()
	g := newGateway(t, esptest.NewNet(), "192.0.2.1", nil)
	s := &stream{mtu: 1400}
	l, err := g.Attach(77, behindA, behindB, s)
	if err != nil {
		t.Fatal(err)
	}
	return g, s, l
}

// TestCarrierSends: a carrier that is no ESP gets what its selectors cover: single
// packets, super-packets, fragments. The TUN side counts, shows and clamps.
func TestCarrierSends(t *testing.T) {
	g, s, l := streamed(t)
	w := &watcher{}
	g.SetTaps(w)
	plain := toB.UDP(random(900))
	g.dev.Inject <- esptest.Plain(plain)
	if got := s.packets(t, 1)[0]; !bytes.Equal(got, plain) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(plain, got))
	}
	g.dev.Inject <- esptest.Super(toB.TCP(1, 0x18, nil, random(50_000)), 1300)
	total := 0
	for _, p := range s.packets(t, 39) {
		if total += len(p) - 40; len(p) > 1340 {
			t.Errorf("a segment of %d bytes", len(p))
		}
	}
	if total != 50_000 {
		t.Errorf("%d bytes of 50,000", total)
	}
	large := toB.UDP(random(3000))
	large[6] = 0 // no DF
	esptest.FixIPv4(large)
	g.dev.Inject <- esptest.Plain(large)
	s.packets(t, 3)
	g.dev.Inject <- esptest.Plain(toB6.UDP(random(1400)))
	if answer := g.inner(t, 1)[0]; answer[6] != 58 || answer[40] != 2 {
		t.Errorf("instead of ICMPv6 packet too big came % x", answer[:48])
	}
	g.dev.Inject <- esptest.Plain(toB.TCP(1, 2, []byte{2, 4, 5, 180}, nil))
	if got, want := s.packets(t, 1)[0], toB.TCP(1, 2, []byte{2, 4, 5, 80}, nil); !bytes.Equal(got, want) {
		t.Errorf("SYN with its MSS not clamped to 1360: (-want +got)\n%s", cmp.Diff(want, got))
	}
	until(t, "the count", func() bool { return g.Stats().Sum(stats.PacketsOut) == 1+39+3+1 })
	if c := g.Stats(); c.Sum(stats.Fragmented) != 1 || c.Sum(stats.DropTooBig) != 1 || c.Sum(stats.TooBigSent) != 1 {
		t.Errorf("stats are %v", c)
	}
	w.mu.Lock()
	if len(w.out) != 1+39+3+1 || !bytes.Equal(w.out[0], plain) {
		t.Errorf("taps saw %d packets", len(w.out))
	}
	w.mu.Unlock()

	g.Detach(l)
	g.dev.Inject <- esptest.Plain(plain)
	until(t, "a packet that nothing carries", func() bool { return g.Stats().Sum(stats.DropClear) == 1 })
}

// TestCarrierHoldsBack: a carrier that is blocked, closed, muted or beyond the
// limits of the class costs the packet, and the cause is counted.
func TestCarrierHoldsBack(t *testing.T) {
	g, s, _ := streamed(t)
	send := func(why stats.Counter, want uint64) {
		t.Helper()
		g.dev.Inject <- esptest.Plain(toB.UDP(random(100)))
		until(t, why.String(), func() bool { return g.Stats().Sum(why) == want })
	}
	s.set(func() { s.blocked = true })
	send(stats.DropSend, 1)
	s.set(func() { s.blocked, s.closed = false, true })
	send(stats.DropPolicy, 1)
	g.Mute(true)
	send(stats.DropMuted, 1)
	g.Mute(false)
	g.SetRates(plane.Rates{BytesOut: 1})
	for range 1000 {
		g.dev.Inject <- esptest.Plain(toB.UDP(random(1300)))
	}
	until(t, "the bound", func() bool { return g.Stats().Sum(stats.DropRate) > 0 })

	// The successor of one that is closed stands in front of it.
	g.SetRates(plane.Rates{})
	next := &stream{mtu: 1400}
	if _, err := g.Attach(78, behindA, behindB, next); err != nil {
		t.Fatal(err)
	}
	g.dev.Inject <- esptest.Plain(toB.UDP([]byte("to the successor")))
	next.packets(t, 1)
	if _, err := g.Attach(78, behindA, behindB, next); err == nil {
		t.Error("two carriers have one ID")
	}
	ca, _ := pair.Children()
	if ca.ID = 78; g.Apply(&sa.Change{Op: sa.OpAdd, Child: ca}) == nil {
		t.Error("a child SA has the ID of a carrier")
	}
}

// TestCarrierReceives: what a carrier has received is checked, limited, clamped,
// shown, joined and counted as packets of ESP are.
func TestCarrierReceives(t *testing.T) {
	g, _, l := streamed(t)
	w := &watcher{}
	g.SetTaps(w)
	r := g.NewReceiver()
	deliver := func(packets ...[]byte) {
		r.Start()
		for _, p := range packets {
			r.Deliver(l, bytes.Clone(p))
		}
		r.Flush()
	}
	var segments [][]byte
	for i := range 10 {
		segments = append(segments, toA.TCP(uint32(1+1000*i), 0x10, nil, random(1000)))
	}
	deliver(segments...)
	for i, got := range g.inner(t, 10) {
		if !bytes.Equal(got[20:], segments[i][20:]) { // joining numbers the IPv4 headers anew
			t.Errorf("segment %d is damaged", i)
		}
	}
	deliver(toA.TCP(1, 2, []byte{2, 4, 5, 180}, nil), append(toA.UDP([]byte("with padding")), make([]byte, 30)...))
	if got := g.inner(t, 2); got[0][42] != 5 || got[0][43] != 80 ||
		!bytes.Equal(got[1], toA.UDP([]byte("with padding"))) {
		t.Errorf("came % x", got)
	}
	r.Drop(stats.DropIntegrity, 2, 300) // as a carrier counts what it cannot open
	deliver(toB.UDP(nil), esptest.NewFlow("10.2.0.7:80", "10.9.0.5:4000").UDP(nil), []byte{0x45, 0}, nil)
	g.Mute(true)
	deliver(toA.UDP(nil))
	g.Mute(false)
	g.SetRates(plane.Rates{Packets: 1})
	for range 200 {
		deliver(toA.UDP(nil))
	}
	c := g.Stats()
	if c.Sum(stats.DropSelector) != 2 || c.Sum(stats.DropMalformed) != 2 || c.Sum(stats.DropMuted) != 1 ||
		c[stats.DropIntegrity] != (stats.Count{N: 2, Bytes: 300}) ||
		c.Sum(stats.DropRate) == 0 || c.Sum(stats.PacketsIn, stats.DropRate) != 212 || c.Sum(stats.SuperPackets) == 0 {
		t.Errorf("stats are %v", c)
	}
	if len(w.in) != int(c.Sum(stats.PacketsIn)) {
		t.Errorf("taps saw %d packets, %v", len(w.in), c)
	}
	r.Close()
	r.Close()
	if diff := cmp.Diff(c, g.Stats()); diff != "" {
		t.Errorf("what a closed receiver had counted: (-want +got)\n%s", diff)
	}
}

// TestCarriersBesideEachOther: ESP and another carrier share the TUN device.
func TestCarriersBesideEachOther(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	s := &stream{mtu: 1400}
	if _, err := a.Attach(77, behindA, esptest.Selectors("10.7.0.0/16"), s); err != nil {
		t.Fatal(err)
	}
	other := esptest.NewFlow("10.1.0.5:4000", "10.7.0.7:80")
	for range 20 {
		a.dev.Inject <- esptest.Plain(toB.UDP([]byte("over ESP")))
		a.dev.Inject <- esptest.Plain(other.UDP([]byte("over the stream")))
	}
	b.inner(t, 20)
	s.packets(t, 20)
	until(t, "the count", func() bool { return a.Stats().Sum(stats.PacketsOut) == 40 })
}

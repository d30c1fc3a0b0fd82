package plane

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/internal/secret"

	"encoding/binary"
	"net/netip"
)

// tap is a device and a socket at once, which keeps what was sent and forgets
// what was delivered. It allocates nothing.
type tap struct {
	sent []Message
	data []byte
}

func (t *tap) Read([]byte) (int, error)       { return 0, os.ErrClosed }
func (t *tap) TryRead([]byte) (int, error)    { return 0, tun.ErrAgain }
func (t *tap) Write([][]byte) error           { return nil }
func (t *tap) TCPOffload() bool               { return true }
func (t *tap) UDPOffload() bool               { return true }
func (t *tap) Close() error                   { return nil }
func (t *tap) Receive([]Message) (int, error) { return 0, os.ErrClosed }
func (t *tap) TryReceive([]Message) (int, error) {
	return 0, os.ErrClosed
}
func (t *tap) Pressed() bool          { return true }
func (t *tap) TrySend(*Message) error { return nil }

func (t *tap) Send(ms []Message) (Loss, error) {
	for i := range ms {
		n := len(t.data)
		t.data = append(t.data, ms[i].Data...)
		t.sent = append(t.sent, ms[i])
		t.sent[len(t.sent)-1].Data = t.data[n:]
	}
	return Loss{}, nil
}

// loop is a plane whose two ends are driven by hand: what it seals it can
// open, because both SAs of its children are the same.
type loop struct {
	p   *Plane
	tap *tap
	out *queue
	in  *inbound
}

func newLoop(t testing.TB, children int) *loop { return newLoopWithCrew(t, children, -1) }

func newLoopWithCrew(t testing.TB, children, crew int) *loop {
	t.Helper()
	counters, err := esp.NewCounters(make([]byte, esp.CountersSize(children)))
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{tap: &tap{data: make([]byte, 0, 1<<20)}}
	local := netip.MustParseAddrPort("192.0.2.1:4500")
	l.p, err = New(&Config{
		Devices: []tun.Device{l.tap}, Counters: counters, Crew: crew,
		Sockets: []Socket{{Kind: KindNATT, Local: local, Conn: l.tap}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.out, l.in = l.p.tun.queues[0], l.p.esp.outers[0].in
	l.p.esp.egress[0].slab, l.out.burst.scratch = make([]byte, sealSlab), make([]byte, 1<<17)
	gcm, _ := sa.TransformByName(sa.Encryption, "aes-256-gcm")
	anywhere := []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.0.0.0/8"))}
	for i := range children {
		half := sa.SA{SPI: sa.SPI(1000 + i), Encryption: gcm.Transform, EncryptionKey: secret.New(make([]byte, 36))}
		err := l.p.Apply(&sa.Change{Op: sa.OpAdd, Child: sa.Child{
			ID: uint64(i + 1), Slot: uint32(i), In: half, Out: half, Local: anywhere,
			Remote:    append([]sa.Selector{sa.SelectorOf(netip.PrefixFrom(host(i), 32))}, anywhere...)[:1],
			LocalAddr: local, RemoteAddr: netip.MustParseAddrPort("192.0.2.2:4500"), Encap: sa.EncapUDP,
			ReplayWindow: 1024,
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func host(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// turn sends what a device read, and receives what was sent. The inner source
// and destination are the same host, so that one child covers both ways.
func (l *loop) turn(b []byte) {
	l.out.packet(b)
	l.out.flush()
	l.in.rx.now = 1
	for i := range l.tap.sent {
		l.in.message(&l.tap.sent[i])
	}
	l.in.switchTo(nil, 0)
	l.in.rx.join.Flush()
	l.tap.sent, l.tap.data = l.tap.sent[:0], l.tap.data[:0]
}

// tcpSuper returns a super-packet of n bytes from and to host i, in segments of
// size bytes.
func tcpSuper(i, n, size int) []byte {
	b := make([]byte, tun.HeaderLen+40+n)
	binary.NativeEndian.PutUint16(b[4:], uint16(size))
	binary.NativeEndian.PutUint16(b[6:], 20)
	binary.NativeEndian.PutUint16(b[8:], 16)
	b[0] = 1
	if size < n {
		b[1] = 1
	}
	p := b[tun.HeaderLen:]
	p[0], p[6], p[8], p[9] = 0x45, 0x40, 64, 6
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	a := host(i).As4()
	copy(p[12:], a[:])
	copy(p[16:], a[:])
	p[32], p[33] = 0x50, 0x10
	return b
}

func TestAllocsPerPacket(t *testing.T) {
	l := newLoop(t, 3)
	for name, b := range map[string][]byte{
		"super-packet": tcpSuper(1, 60_000, 1300),
		"small":        tcpSuper(1, 60, 1300),
		"too big":      tcpSuper(1, 1460, 3000),
	} {
		l.turn(b)
		before := l.p.Stats()
		if n := testing.AllocsPerRun(100, func() { l.turn(b) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		after := l.p.Stats()
		if after.Sum(stats.PacketsOut) == before.Sum(stats.PacketsOut) &&
			after.Sum(stats.DropTooBig) == before.Sum(stats.DropTooBig) {
			t.Errorf("%s: nothing passed: %+v", name, after)
		}
	}
	if s := l.p.Stats(); s.Sum(stats.DropReplay, stats.DropIntegrity, stats.DropSelector, stats.DropMalformed,
		stats.DropPolicy, stats.DropClear) > 0 {
		t.Errorf("stats are %+v", s)
	}
}

// TestAllocsWithCrew is the whole way of big batches through a crew.
func TestAllocsWithCrew(t *testing.T) {
	l := newLoopWithCrew(t, 3, 2)
	l.p.esp.crew.start()
	l.in.ms = make([]Message, manyMessages)
	for i := range l.in.ms {
		l.in.ms[i].Buf = make([]byte, messageSize)
	}
	b := tcpSuper(1, 60_000, 1300)
	turn := func() {
		for range 3 {
			l.out.packet(b)
			l.out.flush()
		}
		for l.p.esp.egress[0].sealer.(*crewSealer).flying.Load() > 0 {
			runtime.Gosched()
		}
		for i, m := range l.tap.sent {
			m.Buf = l.in.ms[i].Buf
			m.Data = m.Buf[:copy(m.Buf, m.Data)]
			l.in.ms[i] = m
		}
		l.in.batch(len(l.tap.sent))
		l.tap.sent, l.tap.data = l.tap.sent[:0], l.tap.data[:0]
	}
	err := l.p.esp.egress[0].withMemory(func() error {
		for range 10 {
			turn()
		}
		if n := testing.AllocsPerRun(100, turn); n != 0 {
			t.Errorf("%v allocations for three super-packets", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l.p.esp.crew.stop()
	s := l.p.Stats()
	if s.Sum(stats.PacketsIn) != s.Sum(stats.PacketsOut) || s.Sum(stats.PacketsIn) == 0 ||
		s.Sum(stats.DropIntegrity, stats.DropReplay) > 0 {
		t.Errorf("stats are %+v", s)
	}
	if x := l.p.esp.children[2].crew; x.outs[0] == nil && x.outs[1] == nil || x.ins[0] == nil && x.ins[1] == nil {
		t.Error("the crew had nothing to do")
	}
}

// BenchmarkTurn is a packet or super-packet of one SA on its way out and back in.
func BenchmarkTurn(b *testing.B) {
	for _, size := range []int{60_000, 1300, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l := newLoop(b, 1)
			p := tcpSuper(0, size, 1300)
			b.ReportAllocs()
			for b.Loop() {
				l.turn(p)
			}
		})
	}
}

// BenchmarkManySAs compares a gateway of 50,000 SAs with one of a single SA,
// turn by turn, so that what else the machine does disturbs both alike. "busy"
// is one SA that has traffic while the others are silent; "spread" has every
// super-packet on another SA, whose keys are in no cache any more.
func BenchmarkManySAs(b *testing.B) {
	const many = 50_000
	one, all := newLoop(b, 1), newLoop(b, many)
	runtime.GC()
	for _, size := range []int{60_000, 1300, 64} {
		mine := tcpSuper(0, size, 1300)
		for _, spread := range []bool{false, true} {
			ps := [][]byte{tcpSuper(many-1, size, 1300)}
			name := "busy"
			if spread {
				name = "spread"
				ps = nil
				for i := range 512 { // the headers differ, the memory stays the same
					ps = append(ps, tcpSuper((i*7919)%many, size, 1300))
				}
			}
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				b.ReportAllocs()
				var alone, among time.Duration
				const run = 16
				for i := 0; b.Loop(); i++ {
					start := time.Now()
					for range run {
						one.turn(mine)
					}
					middle := time.Now()
					for k := range run {
						p := ps[(i*run+k)%len(ps)]
						if spread {
							address(p, (i*run+k)*7919%many)
						}
						all.turn(p)
					}
					alone += middle.Sub(start)
					among += time.Since(middle)
				}
				b.ReportMetric(float64(among)/float64(alone), "ratio")
			})
		}
	}
}

// address makes a packet of tcpSuper one from and to host i.
func address(b []byte, i int) {
	a := host(i).As4()
	p := b[tun.HeaderLen:]
	copy(p[12:], a[:])
	copy(p[16:], a[:])
}

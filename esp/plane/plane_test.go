package plane_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

// patience is how long a state is waited for that comes within moments on an idle
// machine. Only a test that fails waits so long.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	plane.SetDrainTime(10 * time.Second)
	goleak.VerifyTestMain(m)
}

// gateway is a plane with fakes around it.
type gateway struct {
	*plane.Plane
	dev      *esptest.Device
	natt     *esptest.Conn
	raw      *esptest.Conn
	counters *esp.Counters
	cancel   func()
	done     chan error

	mu      sync.Mutex // guards what callbacks append to
	reports []plane.Report
	ike     []string
}

func newGateway(t testing.TB, net *esptest.Net, addr string, change func(*plane.Config)) *gateway {
	t.Helper()
	g := &gateway{dev: esptest.NewDevice(8192), counters: esptest.Counters(64), done: make(chan error, 1)}
	g.natt = net.Conn(addr+":4500", 8192)
	g.raw = net.Conn(addr+":0", 8192)
	c := &plane.Config{
		Devices: []tun.Device{g.dev},
		Sockets: []plane.Socket{
			{Kind: plane.KindNATT, Local: g.natt.Addr, Conn: g.natt},
			{Kind: plane.KindESP, Local: g.raw.Addr, Conn: g.raw},
		},
		Counters: g.counters,
		IKE: func(local, remote netip.AddrPort, payload []byte) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.ike = append(g.ike, fmt.Sprintf("%v->%v %s", remote, local, payload))
		},
		Report: func(r plane.Report) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.reports = append(g.reports, r)
		},
	}
	c.Crew = crewSize
	if change != nil {
		change(c)
	}
	var err error
	if g.Plane, err = plane.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	go func() { g.done <- g.Run(ctx) }()
	<-g.Ready()
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) stop() {
	g.cancel()
	g.done <- <-g.done
}

func (g *gateway) apply(t testing.TB, op sa.Op, c sa.Child, replaces uint64) {
	t.Helper()
	if err := g.Apply(&sa.Change{Op: op, Child: c, Replaces: replaces}); err != nil {
		t.Fatal(err)
	}
}

// inner reads n inner packets from the device.
func (g *gateway) inner(t testing.TB, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for len(out) < n {
		select {
		case b := <-g.dev.Written:
			ps, err := esptest.Split(b)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, ps...)
		case <-time.After(patience):
			t.Fatalf("%d of %d packets came; stats %+v", len(out), n, g.Stats())
		}
	}
	return out
}

// until waits for a condition that other goroutines bring about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 1_000_000 {
		if ok() {
			return
		}
		runtime.Gosched()
		time.Sleep(10 * time.Microsecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

func (g *gateway) reported(k plane.ReportKind) (plane.Report, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.reports {
		if r.Kind == k {
			return r, true
		}
	}
	return plane.Report{}, false
}

// count returns how many reports of kind k there were.
func (g *gateway) count(k plane.ReportKind) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.reports {
		if r.Kind == k {
			n++
		}
	}
	return n
}

var (
	toB  = esptest.NewFlow("10.1.0.5:4000", "10.2.0.7:80")
	toA  = esptest.NewFlow("10.2.0.7:80", "10.1.0.5:4000")
	toB6 = esptest.NewFlow("[2001:db8:1::5]:4000", "[2001:db8:2::7]:80")
	pair = esptest.Pair{
		ID: 1, Encryption: "aes-256-gcm", Encap: sa.EncapUDP, Window: 1024, SPI: 0x1000,
		AddrA: "192.0.2.1:4500", AddrB: "192.0.2.2:4500",
		BehindA: []string{"10.1.0.0/16", "2001:db8:1::/48"}, BehindB: []string{"10.2.0.0/16", "2001:db8:2::/48"},
	}
)

func connected(t testing.TB, p esptest.Pair, change func(*plane.Config)) (a, b *gateway, net *esptest.Net) {
	t.Helper()
	net = esptest.NewNet()
	a, b = newGateway(t, net, "192.0.2.1", change), newGateway(t, net, "192.0.2.2", change)
	ca, cb := p.Children()
	a.apply(t, sa.OpAdd, ca, 0)
	b.apply(t, sa.OpAdd, cb, 0)
	return a, b, net
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	r.Read(b)
	return b
}

func TestBothWays(t *testing.T) {
	for _, tt := range []struct {
		enc, integ string
		esn        bool
		encap      sa.Encap
		window     uint32
	}{
		{"aes-256-gcm", "", false, sa.EncapUDP, 1024},
		{"aes-128-gcm", "", true, sa.EncapUDP, 64},
		{"aes-192-gcm", "", true, sa.EncapRaw, 4096},
		{"chacha20-poly1305", "", true, sa.EncapUDP, 0},
		{"aes-256-cbc", "sha256", false, sa.EncapUDP, 128},
		{"aes-128-cbc", "sha384", true, sa.EncapRaw, 1024},
		{"aes-192-cbc", "sha512", true, sa.EncapUDP, 1024},
		{"3des", "sha1", false, sa.EncapUDP, 1024},
		{"des", "md5", true, sa.EncapUDP, 1024},
	} {
		t.Run(tt.enc+tt.integ, func(t *testing.T) {
			p := pair
			p.Encryption, p.Integrity, p.ESN, p.Encap, p.Window = tt.enc, tt.integ, tt.esn, tt.encap, tt.window
			if p.Encap == sa.EncapRaw {
				p.AddrA, p.AddrB = "192.0.2.1:0", "192.0.2.2:0"
			}
			a, b, _ := connected(t, p, nil)
			for n := 0; n < 1300; n += 7 {
				for _, f := range []esptest.Flow{toB, toB6} {
					want := f.UDP(random(n))
					a.dev.Inject <- esptest.Plain(want)
					if got := b.inner(t, 1)[0]; !bytes.Equal(got, want) {
						t.Fatalf("%d bytes: (-want +got)\n%s", n, cmp.Diff(want, got))
					}
				}
				want := toA.IP(47, random(n))
				b.dev.Inject <- esptest.Plain(want)
				if got := a.inner(t, 1)[0]; !bytes.Equal(got, want) {
					t.Fatalf("%d bytes back: (-want +got)\n%s", n, cmp.Diff(want, got))
				}
			}
			facts := a.counters.Slot(0).Facts()
			if facts.PacketsOut != 2*186 || facts.PacketsIn != 186 || facts.LastIn == 0 || facts.LastOut == 0 ||
				facts.SequenceOut != 2*186 {
				t.Errorf("counters are %+v", facts)
			}
		})
	}
}

func TestSuperPackets(t *testing.T) {
	for _, f := range []esptest.Flow{toB, toB6} {
		for _, size := range []int{100, 536, 1300} {
			t.Run(fmt.Sprint(f.Src.Addr(), size), func(t *testing.T) {
				a, b, _ := connected(t, pair, nil)
				data := random(60_001)
				a.dev.Inject <- esptest.Super(f.TCP(7, 0x18, nil, data), size)
				var got []byte
				for _, p := range b.inner(t, (len(data)+size-1)/size) {
					header := 40
					if p[0]>>4 == 6 {
						header = 60
					}
					if len(p) > header+size {
						t.Fatalf("packet of %d bytes", len(p))
					}
					if seq := binary.BigEndian.Uint32(p[header-16:]); int(seq) != 7+len(got) {
						t.Fatalf("sequence number is %d after %d bytes", seq, len(got))
					}
					got = append(got, p[header:]...)
				}
				if !bytes.Equal(got, data) {
					t.Error("data is not what was sent")
				}
				until(t, "super-packets", func() bool { return b.Stats().Sum(stats.SuperPackets) > 0 })
			})
		}
	}
}

func TestUDPSuperPacket(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	data := random(10_000)
	a.dev.Inject <- esptest.Super(toB.UDP(data), 300)
	var got []byte
	for _, p := range b.inner(t, 34) {
		got = append(got, p[28:]...)
	}
	if !bytes.Equal(got, data) {
		t.Error("data is not what was sent")
	}
	until(t, "super-packets", func() bool { return b.Stats().Sum(stats.SuperPackets) > 0 })
}

func TestDeviceRefusesSuperPackets(t *testing.T) {
	a, b, _ := connected(t, pair, func(c *plane.Config) { c.Devices[0].(*esptest.Device).Refuse = true })
	data := random(30_000)
	for range 2 {
		a.dev.Inject <- append([]byte(nil), esptest.Super(toB.TCP(1, 0x18, nil, data), 1000)...)
		var got []byte
		for _, p := range b.inner(t, 30) {
			if c := toB.TCP(uint32(1+len(got)), p[33], nil, p[40:]); !bytes.Equal(c[32:], p[32:]) {
				t.Fatalf("packet is damaged: %s", cmp.Diff(c, p))
			}
			got = append(got, p[40:]...)
		}
		if !bytes.Equal(got, data) {
			t.Error("data is not what was sent")
		}
	}
}

func TestHostileWire(t *testing.T) {
	a, b, net := connected(t, pair, nil)
	r := rand.New(rand.NewPCG(1, 2))
	var held []esptest.Datagram
	var put, arrived atomic.Int64
	hostile := func(d esptest.Datagram) []esptest.Datagram {
		dup := d
		dup.Data = append([]byte(nil), d.Data...)
		switch r.IntN(8) {
		case 0:
			return nil
		case 1:
			return []esptest.Datagram{d, dup}
		case 2:
			d.Data[r.IntN(len(d.Data))] ^= 1 << r.IntN(8)
			return []esptest.Datagram{d}
		case 3:
			d.Data = d.Data[:r.IntN(len(d.Data))]
			return []esptest.Datagram{d}
		case 4:
			held = append(held, d)
			return nil
		case 5:
			out := append(held, d)
			held = nil
			return out
		}
		return []esptest.Datagram{d}
	}
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		ds := hostile(d)
		arrived.Add(int64(len(ds)))
		put.Add(1)
		return ds
	}
	const n = 3000
	sent := map[uint32][]byte{}
	for i := range uint32(n) {
		p := toB.UDP(append(binary.BigEndian.AppendUint32(nil, i), random(int(i*7919%900))...))
		sent[i] = p
		a.dev.Inject <- esptest.Plain(p)
	}
	until(t, "all sent", func() bool { return put.Load() == n })
	until(t, "all received", func() bool {
		s := b.Stats()
		return int64(s.Sum(stats.PacketsIn, stats.DropReplay, stats.DropIntegrity, stats.DropMalformed, stats.DropSPI,
			stats.ReceiveErrors)) == arrived.Load()
	})
	seen := 0
	for len(b.dev.Written) > 0 {
		for _, p := range b.inner(t, 1) {
			i := binary.BigEndian.Uint32(p[28:])
			// Joining and splitting may number the IPv4 headers anew.
			if sent[i] == nil || !bytes.Equal(p[12:], sent[i][12:]) {
				t.Fatalf("packet %d arrived twice or damaged", i)
			}
			delete(sent, i)
			seen++
		}
	}
	s := b.Stats()
	if seen < n/2 || s.Sum(stats.DropReplay) == 0 || s.Sum(stats.DropIntegrity) == 0 ||
		s.Sum(stats.DropMalformed) == 0 || int(s.Sum(stats.PacketsIn)) != seen {
		t.Errorf("%d of %d arrived, stats %+v", seen, n, s)
	}
}

func TestRekeyUnderLoad(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	const n = 4000
	go func() {
		for i := range uint32(n) {
			a.dev.Inject <- esptest.Plain(toB.UDP(binary.BigEndian.AppendUint32(nil, i)))
		}
	}()
	go func() {
		defer close(a.dev.Written)
		p := pair
		for i := range 20 {
			old := p
			p.ID, p.SPI, p.Key, p.SlotA, p.SlotB = p.ID+2, p.SPI+2, p.Key+1, uint32(i+1)%2, uint32(i+1)%2
			ca, cb := p.Children()
			oa, ob := old.Children()
			b.apply(t, sa.OpRekey, cb, ob.ID)
			a.apply(t, sa.OpRekey, ca, oa.ID)
			a.apply(t, sa.OpDelete, oa, 0)
			want := a.Stats().Sum(stats.PacketsOut)
			until(t, "packets on their way", func() bool { return b.Stats().Sum(stats.PacketsIn) >= want })
			b.apply(t, sa.OpDelete, ob, 0)
		}
	}()
	for i, p := range b.inner(t, n) {
		if got := binary.BigEndian.Uint32(p[28:]); int(got) != i {
			t.Fatalf("packet %d came in place of %d", got, i)
		}
	}
	<-a.dev.Written // closed: the rekeys are done
	if s := b.Stats(); s.Sum(stats.DropSPI, stats.DropIntegrity, stats.DropReplay)+a.Stats().Sum(stats.DropPolicy,
		stats.DropClear) > 0 {
		t.Errorf("packets were dropped: %+v", s)
	}
}

func TestRekeyedPairComesBack(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	p := pair
	p.ID, p.SPI, p.SlotA, p.SlotB = 11, 0x2000, 1, 1
	p.BehindB = []string{"10.0.0.0/8"} // wider, so a longest prefix alone would choose the old one
	ca, cb := p.Children()
	a.apply(t, sa.OpRekey, ca, 1)
	b.apply(t, sa.OpRekey, cb, 2)
	a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	b.inner(t, 1)
	if n := a.counters.Slot(1).Facts().PacketsOut; n != 1 {
		t.Errorf("new pair carried %d packets", n)
	}
	a.apply(t, sa.OpDelete, ca, 0)
	a.apply(t, sa.OpDelete, ca, 0)
	a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	b.inner(t, 1)
	if n := a.counters.Slot(0).Facts().PacketsOut; n != 1 {
		t.Errorf("old pair carried %d packets", n)
	}
}

// TestFollow has the peer's wish for a new pair: outbound traffic stays with
// the old one until the peer is heard on the new one, or the old one is gone.
func TestFollow(t *testing.T) {
	for _, heard := range []bool{true, false} {
		a, b, _ := connected(t, pair, nil)
		p := pair
		p.ID, p.SPI, p.SlotA, p.SlotB = 11, 0x2000, 1, 1
		ca, cb := p.Children()
		oa, _ := pair.Children()
		carried := func(slot uint32) uint64 {
			t.Helper()
			a.dev.Inject <- esptest.Plain(toB.UDP(nil))
			b.inner(t, 1)
			return a.counters.Slot(slot).Facts().PacketsOut
		}
		a.apply(t, sa.OpFollow, ca, oa.ID)
		b.apply(t, sa.OpRekey, cb, 2)
		if n := carried(0); n != 1 {
			t.Errorf("before the peer is heard: old pair carried %d packets, want 1", n)
		}
		if heard {
			b.dev.Inject <- esptest.Plain(toA.UDP(nil))
			a.inner(t, 1)
		} else {
			a.apply(t, sa.OpDelete, oa, 0)
		}
		until(t, "the move to the new pair", func() bool { return carried(1) > 0 })
		if n := a.counters.Slot(1).Facts().PacketsOut; !heard && n != 1 {
			t.Errorf("old pair gone: new pair carried %d packets, want 1", n)
		}
	}
}

// TestTwoFollow: where both ends have rekeyed a child SA, and that is gone, outbound
// traffic moves to the pair that has followed it first, and to the other one when that is
// gone, too.
func TestTwoFollow(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	oa, ob := pair.Children()
	p, q := pair, pair
	p.ID, p.SPI, p.SlotA, p.SlotB = 11, 0x2000, 1, 1
	q.ID, q.SPI, q.SlotA, q.SlotB = 12, 0x3000, 2, 2
	pa, pb := p.Children()
	qa, qb := q.Children()
	for _, c := range []sa.Child{pa, qa} {
		a.apply(t, sa.OpFollow, c, oa.ID)
	}
	for _, c := range []sa.Child{pb, qb} {
		b.apply(t, sa.OpFollow, c, ob.ID)
	}
	for slot, c := range []sa.Child{oa, pa, qa} {
		a.dev.Inject <- esptest.Plain(toB.UDP(nil))
		b.inner(t, 1)
		if n := a.counters.Slot(uint32(slot)).Facts().PacketsOut; n != 1 {
			t.Errorf("pair %d carried %d packets, want 1", slot, n)
		}
		a.apply(t, sa.OpDelete, c, 0)
	}
}

// TestMove: a child SA goes to the addresses of a move, and of an installation that comes
// again, as in a copy of the state.
func TestMove(t *testing.T) {
	for _, op := range []sa.Op{sa.OpMove, sa.OpAdd, sa.OpRekey, sa.OpFollow} {
		t.Run(op.String(), func(t *testing.T) { testMove(t, op) })
	}
}

func testMove(t *testing.T, op sa.Op) {
	a, b, net := connected(t, pair, nil)
	moved := net.Conn("198.51.100.9:61000", 64)
	defer moved.Close()
	// A NAT between them changes the source of what A sends.
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		if d.From == a.natt.Addr {
			d.From = moved.Addr
		}
		return []esptest.Datagram{d}
	}
	a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	b.inner(t, 1)
	until(t, "the report", func() bool { _, ok := b.reported(plane.ReportMoved); return ok })
	got, _ := b.reported(plane.ReportMoved)
	want := plane.Report{Kind: plane.ReportMoved, Child: 2, Local: b.natt.Addr, Remote: moved.Addr, Encap: sa.EncapUDP}
	if got != want {
		t.Errorf("report is %+v, want %+v", got, want)
	}
	_, cb := pair.Children()
	cb.RemoteAddr = moved.Addr
	b.apply(t, op, cb, 0)
	b.dev.Inject <- esptest.Plain(toA.UDP(nil))
	ms := []plane.Message{{Buf: make([]byte, 65535)}}
	if _, err := moved.Receive(ms); err != nil || ms[0].Remote != b.natt.Addr {
		t.Errorf("received %v from %v", err, ms[0].Remote)
	}
	if err := b.Apply(&sa.Change{Op: sa.OpMove, Child: sa.Child{ID: 99}}); err == nil {
		t.Error("a child that is not there moved")
	}
}

// TestForgedMove: a packet that is not authentic, or a replayed one, moves
// nobody.
func TestForgedMove(t *testing.T) {
	a, b, net := connected(t, pair, nil)
	evil := netip.MustParseAddrPort("203.0.113.66:4500")
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		copy := d
		copy.From = evil
		forged := copy
		forged.Data = append([]byte(nil), d.Data...)
		forged.Data[7]++
		return []esptest.Datagram{d, copy, forged}
	}
	for range 3 {
		a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	}
	b.inner(t, 3)
	until(t, "the forgeries", func() bool { s := b.Stats(); return s.Sum(stats.DropReplay, stats.DropIntegrity) == 6 })
	if r, ok := b.reported(plane.ReportMoved); ok {
		t.Errorf("reported %+v", r)
	}
}

func TestMute(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	a.Mute(true)
	a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	until(t, "the drop", func() bool { return a.Stats().Sum(stats.DropMuted) == 1 })
	b.dev.Inject <- esptest.Plain(toA.UDP(nil))
	until(t, "the other drop", func() bool { return a.Stats().Sum(stats.DropMuted) == 2 })
	if err := a.SendIKE(a.natt.Addr, b.natt.Addr, []byte("hello")); !errors.Is(err, plane.ErrMuted) {
		t.Errorf("SendIKE: %v", err)
	}
	if w := a.counters.Window(0); w.Top() != 0 {
		t.Errorf("a muted plane took packet %d", w.Top())
	}
	a.Mute(false)
	b.dev.Inject <- esptest.Plain(toA.UDP(nil))
	a.inner(t, 1)
	if len(b.dev.Written) != 0 {
		t.Error("a muted plane sent a packet")
	}
}

func TestIKE(t *testing.T) {
	a, b, net := connected(t, pair, nil)
	if err := a.SendIKE(a.natt.Addr, b.natt.Addr, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := a.SendIKE(a.natt.Addr, b.natt.Addr, []byte{0xff}); err != nil {
		t.Fatal(err)
	}
	net.Deliver(esptest.Datagram{From: a.natt.Addr, To: b.natt.Addr, Data: []byte{1, 2, 3}})
	until(t, "the messages", func() bool { return b.Stats().Sum(stats.DropMalformed) == 1 })
	if s := b.Stats(); s.Sum(stats.Keepalives) != 1 || s.Sum(stats.IKEIn) != 1 {
		t.Errorf("stats are %+v", s)
	}
	if want := []string{"192.0.2.1:4500->192.0.2.2:4500 hello"}; !cmp.Equal(b.ike, want) {
		t.Error(cmp.Diff(want, b.ike))
	}
	if err := a.SendIKE(netip.MustParseAddrPort("192.0.2.9:500"), b.natt.Addr, nil); !errors.Is(err,
		plane.ErrNoSocket) {
		t.Errorf("from an address that is not ours: %v", err)
	}
	if err := a.SendIKE(a.natt.Addr, netip.MustParseAddrPort("[2001:db8::1]:500"), nil); !errors.Is(err,
		plane.ErrNoSocket) {
		t.Errorf("to another family: %v", err)
	}
}

func TestUnknownSPI(t *testing.T) {
	_, b, net := connected(t, pair, nil)
	for i := range 100 {
		net.Deliver(esptest.Datagram{From: netip.MustParseAddrPort("203.0.113.1:4500"), To: b.natt.Addr,
			Data: append([]byte{0, 0, 9, byte(i)}, random(60)...)})
	}
	until(t, "the packets", func() bool { return b.Stats().Sum(stats.DropSPI) == 100 })
	until(t, "a report for each of 32 SPIs", func() bool { return b.count(plane.ReportUnknownSPI) == 32 })
	want := plane.Report{Kind: plane.ReportUnknownSPI, SPI: 0x900, Local: b.natt.Addr,
		Remote: netip.MustParseAddrPort("203.0.113.1:4500"), Count: 1}
	if got, _ := b.reported(plane.ReportUnknownSPI); got != want {
		t.Errorf("report is %+v, want %+v", got, want)
	}
}

func TestLimits(t *testing.T) {
	net := esptest.NewNet()
	a, b := newGateway(t, net, "192.0.2.1", nil), newGateway(t, net, "192.0.2.2", nil)
	ca, cb := pair.Children()
	ca.BytesLimit = 1000
	a.apply(t, sa.OpAdd, ca, 0)
	b.apply(t, sa.OpAdd, cb, 0)
	packet := toB.UDP(random(72)) // 100 bytes
	for i := range 12 {
		a.dev.Inject <- esptest.Plain(packet)
		if i == 7 {
			b.inner(t, 8)
			if _, ok := a.reported(plane.ReportRekey); ok {
				t.Error("rekey wanted after 800 of 1000 bytes")
			}
		}
	}
	until(t, "the drops", func() bool { return a.Stats().Sum(stats.DropVolume) == 2 })
	until(t, "the reports", func() bool {
		_, rekey := a.reported(plane.ReportRekey)
		_, expired := a.reported(plane.ReportExpired)
		return rekey && expired
	})
}

// TestReportsRepeat: who does not act on the end of an SA is told again.
func TestReportsRepeat(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind plane.ReportKind
		end  func(a, b *gateway)
	}{
		{"sequence numbers near their end", plane.ReportRekey,
			func(a, _ *gateway) { a.counters.Slot(0).SkipOut(1<<32 - 1<<28) }},
		{"sequence numbers used up", plane.ReportExpired, func(a, _ *gateway) {
			a.counters.Slot(0).SkipOut(1<<32 - 1)
		}},
		{"volume out", plane.ReportExpired, func(a, _ *gateway) { a.counters.Slot(0).CountOut(1, 1<<30, 0) }},
		{"volume in", plane.ReportExpired, func(a, _ *gateway) { a.counters.Slot(0).CountIn(1, 1<<30, 0) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seconds atomic.Int64
			net := esptest.NewNet()
			now := func() time.Time { return time.Unix(1e9+seconds.Load(), 0) }
			a := newGateway(t, net, "192.0.2.1", func(c *plane.Config) { c.Now = now })
			b := newGateway(t, net, "192.0.2.2", nil)
			ca, cb := pair.Children()
			ca.BytesLimit = 1 << 30
			a.apply(t, sa.OpAdd, ca, 0)
			b.apply(t, sa.OpAdd, cb, 0)
			tt.end(a, b)
			for told := 1; told <= 3; told++ {
				until(t, "a report in another second", func() bool {
					a.dev.Inject <- esptest.Plain(toB.UDP(nil))
					b.dev.Inject <- esptest.Plain(toA.UDP(nil))
					return a.count(tt.kind) >= told
				})
				seconds.Add(1)
			}
		})
	}
}

func TestSequenceEnds(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	a.counters.Slot(0).SkipOut(1<<32 - 3)
	for range 5 {
		a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	}
	b.inner(t, 3)
	until(t, "the drops", func() bool { return a.Stats().Sum(stats.DropSequence) == 2 })
	until(t, "the reports", func() bool {
		_, rekey := a.reported(plane.ReportRekey)
		_, expired := a.reported(plane.ReportExpired)
		return rekey && expired
	})
}

func TestReservation(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	slot := a.counters.Slot(0)
	slot.SetOutLimit(8)
	send := func(n int) {
		for range n {
			a.dev.Inject <- esptest.Plain(toB.UDP(nil))
		}
	}
	send(4)
	b.inner(t, 4)
	if r, ok := a.reported(plane.ReportReserve); ok {
		t.Errorf("after 4 of 8: %+v", r)
	}
	send(5)
	b.inner(t, 4)
	until(t, "the drop", func() bool { return a.Stats().Sum(stats.DropSequence) == 1 })
	until(t, "the report", func() bool { _, ok := a.reported(plane.ReportReserve); return ok })
	slot.SetOutLimit(100)
	send(1)
	b.inner(t, 1)
	if _, ok := a.reported(plane.ReportExpired); ok {
		t.Error("a reservation that ran out counts as the end of the SA")
	}
}

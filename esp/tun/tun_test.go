package tun_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/tun"
)

var (
	flow4 = esptest.NewFlow("10.1.0.5:4000", "10.2.0.7:80")
	flow6 = esptest.NewFlow("[2001:db8:1::5]:4000", "[2001:db8:2::7]:80")
)

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// reference is the checksum as RFC 1071 writes it.
func reference(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

func TestChecksum(t *testing.T) {
	for n := range 600 {
		b := random(n)
		if got, want := tun.HeaderChecksum(b), reference(b); got != want {
			t.Fatalf("%d bytes: %#04x, want %#04x", n, got, want)
		}
		clear(b)
		if got := tun.HeaderChecksum(b); got != 0xffff {
			t.Fatalf("%d zero bytes: %#04x", n, got)
		}
		for i := range b {
			b[i] = 0xff
		}
		if got, want := tun.HeaderChecksum(b), reference(b); got != want {
			t.Fatalf("%d bytes 0xff: %#04x, want %#04x", n, got, want)
		}
	}
	p := flow4.UDP(random(9))
	pseudo := append(append([]byte{}, p[12:20]...), 0, 17, 0, 17)
	p[26], p[27] = 0, 0
	if got, want := tun.Checksum(p, 20, 17), reference(append(pseudo, p[20:]...)); got != want {
		t.Errorf("UDP: %#04x, want %#04x", got, want)
	}
}

func TestSplit(t *testing.T) {
	options := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	for _, f := range []esptest.Flow{flow4, flow6} {
		for _, n := range []int{1, 999, 1000, 1001, 20_000, 64_000} {
			data := random(n)
			const cwrPshFinAck = 0x80 | 0x08 | 0x01 | 0x10
			ps, err := esptest.Split(esptest.Super(f.TCP(0xfffffff0, cwrPshFinAck, options, data), 1000))
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range ps {
				flags := byte(0x10)
				if i == 0 {
					flags |= 0x80
				}
				if i == len(ps)-1 {
					flags |= 0x08 | 0x01
				}
				want := f.TCP(0xfffffff0+uint32(i*1000), flags, options, data[i*1000:min(n, i*1000+1000)])
				if want[0]>>4 == 4 {
					binary.BigEndian.PutUint16(want[4:], uint16(i))
					esptest.FixIPv4(want)
				}
				if diff := cmp.Diff(want, p); diff != "" {
					t.Fatalf("%v %d: segment %d (-want +got)\n%s", f, n, i, diff)
				}
			}
			ps, err = esptest.Split(esptest.Super(f.UDP(data), 1000))
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range ps {
				want := f.UDP(data[i*1000 : min(n, i*1000+1000)])
				if want[0]>>4 == 4 {
					binary.BigEndian.PutUint16(want[4:], uint16(i))
					esptest.FixIPv4(want)
				}
				if diff := cmp.Diff(want, p); diff != "" {
					t.Fatalf("%v %d: datagram %d (-want +got)\n%s", f, n, i, diff)
				}
			}
		}
	}
}

func TestShrink(t *testing.T) {
	data := random(10_000)
	var s tun.Super
	if err := tun.ParseSuper(esptest.Super(flow4.TCP(1, 16, nil, data), 1400), &s); err != nil {
		t.Fatal(err)
	}
	if s.Count() != 8 || s.Size() != 1440 || s.Total() != 10_000+8*40 || !s.Shrink(1440) || s.Count() != 8 {
		t.Errorf("%d segments of %d, %d in all", s.Count(), s.Size(), s.Total())
	}
	if !s.Shrink(540) || s.Count() != 20 || s.Size() != 540 {
		t.Errorf("%d segments of %d", s.Count(), s.Size())
	}
	if s.Shrink(40) {
		t.Error("shrunk to nothing")
	}
	if err := tun.ParseSuper(esptest.Super(flow4.UDP(data), 1400), &s); err != nil {
		t.Fatal(err)
	}
	if s.Shrink(540) {
		t.Error("a datagram was cut")
	}
}

// TestPartialChecksum: a device leaves the checksum of a single packet to us.
func TestPartialChecksum(t *testing.T) {
	for _, f := range []esptest.Flow{flow4, flow6} {
		want := f.UDP(random(77))
		b := esptest.Plain(want)
		transport := len(want) - 77 - 8
		b[0] = 1
		binary.NativeEndian.PutUint16(b[6:], uint16(transport))
		binary.NativeEndian.PutUint16(b[8:], 6)
		// The field holds the sum of the pseudo-header.
		var pseudo []byte
		if transport == 20 {
			pseudo = append(append(pseudo, want[12:20]...), 0, 17, 0, 85)
		} else {
			pseudo = append(append(pseudo, want[8:40]...), 0, 17, 0, 85)
		}
		binary.BigEndian.PutUint16(b[tun.HeaderLen+transport+6:], ^reference(pseudo))
		ps, err := esptest.Split(b)
		if err != nil || len(ps) != 1 || !bytes.Equal(ps[0], want) {
			t.Errorf("%v (-want +got)\n%s", err, cmp.Diff([][]byte{want}, ps))
		}
	}
}

func TestMalformed(t *testing.T) {
	good := esptest.Super(flow4.TCP(1, 16, nil, random(100)), 50)
	change := func(at int, v ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], v)
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":             {},
		"header only":         good[:tun.HeaderLen],
		"short":               good[:tun.HeaderLen+30],
		"not IP":              change(tun.HeaderLen, 0x15),
		"other family":        change(1, 4),
		"unknown kind":        change(1, 9),
		"no segment size":     change(4, 0, 0),
		"transport in header": change(6, 4, 0),
		"transport outside":   change(6, 0xff, 0xff),
		"TCP header of 0":     change(tun.HeaderLen+32, 0),
	} {
		var s tun.Super
		if err := tun.ParseSuper(b, &s); !errors.Is(err, tun.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// join puts packets through a Coalescer and returns what the device got, as
// the kernel would see it, and the number of writes.
func join(t *testing.T, ps [][]byte) (got [][]byte, writes int) {
	t.Helper()
	d := esptest.NewDevice(1000)
	c := tun.NewCoalescer(d)
	for _, p := range ps {
		c.Add(append([]byte(nil), p...))
	}
	c.Flush()
	for len(d.Written) > 0 {
		writes++
		out, err := esptest.Split(<-d.Written)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out...)
	}
	if c.Packets != len(ps) || c.Failed != 0 {
		t.Errorf("counted %d packets, %d failed", c.Packets, c.Failed)
	}
	return got, writes
}

func TestCoalesce(t *testing.T) {
	tcp := func(seq uint32, flags byte, n int) []byte { return flow4.TCP(seq, flags, nil, random(n)) }
	tcp6 := func(seq uint32, flags byte, n int) []byte { return flow6.TCP(seq, flags, nil, random(n)) }
	other := esptest.NewFlow("10.1.0.5:4001", "10.2.0.7:80")
	tos := tcp(101, 16, 100)
	tos[1] = 4
	esptest.FixIPv4(tos)
	ttl := tcp(101, 16, 100)
	ttl[8] = 9
	esptest.FixIPv4(ttl)
	wrong := tcp(101, 16, 100)
	wrong[60] ^= 1
	fragment := tcp(101, 16, 100)
	fragment[6] |= 0x20
	esptest.FixIPv4(fragment)
	reserved := tcp(101, 16, 100)
	reserved[20+12] |= 1
	clear(reserved[36:38])
	binary.BigEndian.PutUint16(reserved[36:], tun.Checksum(reserved, 20, 6))
	noSum := flow4.UDP(random(50))
	noSum[26], noSum[27] = 0, 0
	for _, tt := range []struct {
		name   string
		in     [][]byte
		writes int
	}{
		{"in order", [][]byte{tcp(1, 16, 100), tcp(101, 16, 100), tcp(201, 16, 7)}, 1},
		{"IPv6", [][]byte{tcp6(1, 16, 100), tcp6(101, 16, 100), tcp6(201, 0x18, 7)}, 1},
		{"after a short one", [][]byte{tcp(1, 16, 100), tcp(101, 16, 7), tcp(108, 16, 7)}, 2},
		{"growing", [][]byte{tcp(1, 16, 100), tcp(101, 16, 101)}, 2},
		{"gap", [][]byte{tcp(1, 16, 100), tcp(201, 16, 100)}, 2},
		{"late", [][]byte{tcp(101, 16, 100), tcp(1, 16, 100)}, 2},
		{"push ends", [][]byte{tcp(1, 0x18, 100), tcp(101, 16, 100)}, 2},
		{"push at the end", [][]byte{tcp(1, 16, 100), tcp(101, 0x18, 100)}, 1},
		{"SYN", [][]byte{tcp(1, 2, 100), tcp(101, 16, 100)}, 2},
		{"FIN", [][]byte{tcp(1, 16, 100), tcp(101, 17, 100)}, 2},
		{"pure ACKs", [][]byte{tcp(1, 16, 0), tcp(1, 16, 0)}, 2},
		{"TOS", [][]byte{tcp(1, 16, 100), tos}, 2},
		{"TTL", [][]byte{tcp(1, 16, 100), ttl}, 2},
		{"reserved bits", [][]byte{tcp(1, 16, 100), reserved}, 2},
		{"wrong checksum second", [][]byte{tcp(1, 16, 100), wrong, tcp(201, 16, 100)}, 3},
		{"wrong checksum first", [][]byte{wrong, tcp(201, 16, 100), tcp(301, 16, 100)}, 2},
		{"fragment", [][]byte{tcp(1, 16, 100), fragment}, 2},
		{"options", [][]byte{flow4.TCP(1, 16, []byte{1, 1, 1, 1}, random(9)),
			flow4.TCP(10, 16, []byte{1, 1, 1, 0}, random(9))}, 2},
		{"two flows", [][]byte{tcp(1, 16, 100), other.TCP(1, 16, nil, random(100)), tcp(101, 16, 100),
			other.TCP(101, 16, nil, random(100))}, 2},
		{"UDP", [][]byte{flow4.UDP(random(50)), flow4.UDP(random(50)), flow4.UDP(random(30))}, 1},
		{"UDP and TCP", [][]byte{flow4.UDP(random(50)), tcp(1, 16, 100), flow4.UDP(random(50))}, 2},
		{"UDP without checksum", [][]byte{noSum, noSum}, 2},
		{"ICMP", [][]byte{flow4.IP(1, random(30)), flow4.IP(1, random(30))}, 2},
		{"short", [][]byte{flow4.IP(6, random(5)), {0x45}, flow6.IP(6, nil)}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "short" { // not for Split: the device would refuse some
				d := esptest.NewDevice(10)
				c := tun.NewCoalescer(d)
				for _, p := range tt.in {
					c.Add(p)
				}
				c.Flush()
				if len(d.Written) != 3 {
					t.Errorf("%d writes", len(d.Written))
				}
				return
			}
			got, writes := join(t, tt.in)
			if writes != tt.writes {
				t.Errorf("%d writes, want %d", writes, tt.writes)
			}
			want := map[string]int{}
			for _, p := range tt.in {
				want[normal(p)]++
			}
			for _, p := range got {
				want[normal(p)]--
			}
			for p, n := range want {
				if n != 0 {
					t.Errorf("%+d of % x", -n, p)
				}
			}
		})
	}
}

// normal takes out of an IPv4 packet what splitting may number anew.
func normal(p []byte) string {
	p = append([]byte(nil), p...)
	if p[0]>>4 == 4 {
		p[4], p[5], p[10], p[11] = 0, 0, 0, 0
	}
	return string(p)
}

// TestCoalesceKeepsOrder sends many flows in random interleaving.
func TestCoalesceKeepsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 50 {
		d := esptest.NewDevice(4000)
		c := tun.NewCoalescer(d)
		var next [200]uint32
		for range 2000 {
			i := r.IntN(200)
			f := esptest.NewFlow(fmt.Sprintf("10.1.0.5:%d", 1000+i), "10.2.0.7:80")
			n := 10 + r.IntN(3)
			c.Add(f.TCP(next[i], 16, nil, random(n)))
			next[i] += uint32(n)
		}
		c.Flush()
		var seen [200]uint32
		for len(d.Written) > 0 {
			ps, err := esptest.Split(<-d.Written)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range ps {
				i := binary.BigEndian.Uint16(p[20:]) - 1000
				if seq := binary.BigEndian.Uint32(p[24:]); seq != seen[i] {
					t.Fatalf("flow %d: %d came, want %d", i, seq, seen[i])
				}
				seen[i] += uint32(len(p) - 40)
			}
		}
		if seen != next {
			t.Fatal("something was lost")
		}
	}
}

func FuzzParseSuper(f *testing.F) {
	f.Add(esptest.Super(flow4.TCP(1, 16, nil, random(100)), 50))
	f.Add(esptest.Super(flow6.UDP(random(100)), 50))
	f.Add(esptest.Plain(flow6.UDP(random(10))))
	dst := make([]byte, 1<<17)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s tun.Super
		if tun.ParseSuper(b, &s) != nil {
			return
		}
		for _, n := range []int{0, 200} {
			if n > 0 && !s.Shrink(n) {
				return
			}
			total := 0
			for i := range s.Count() {
				got := s.Put(dst, i)
				if got != s.Len(i) || got > s.Size() {
					t.Fatalf("segment %d has %d bytes, Len %d, Size %d", i, got, s.Len(i), s.Size())
				}
				total += got
			}
			if total != s.Total() {
				t.Fatalf("%d bytes, Total %d", total, s.Total())
			}
		}
	})
}

// TestCoalesceRandomly joins packets of several flows as they may come: sizes,
// flags, families and order at random, some damaged. Every flow comes apart into
// its packets, in their order.
func TestCoalesceRandomly(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	supers := 0
	for round := range 300 {
		d := esptest.NewDevice(4096)
		d.NoUDP = round%5 == 0
		c := tun.NewCoalescer(d)
		var flows []esptest.Flow
		for i := range 6 {
			f := flow4
			if i%2 > 0 {
				f = flow6
			}
			f.Src = netip.AddrPortFrom(f.Src.Addr(), uint16(1000+i))
			flows = append(flows, f)
		}
		want, got := map[string][]string{}, map[string][]string{}
		var next [6]uint32
		size := 100 + r.IntN(1300)
		for range 200 {
			i := r.IntN(len(flows))
			n := size
			if r.IntN(4) == 0 {
				n = r.IntN(1400)
			}
			var p []byte
			switch flags := uint8(0x10 | r.IntN(8)/7*8); i % 3 {
			case 0:
				p = flows[i].UDP(random(n))
			default:
				p = flows[i].TCP(next[i], flags, nil, random(n))
				next[i] += uint32(n)
			}
			if r.IntN(20) == 0 {
				p[len(p)-1] ^= 1 // a wrong checksum must stay wrong
			}
			if r.IntN(20) == 0 {
				next[i] += 7 // a hole
			}
			key := string(p[20:24])
			if p[0]>>4 == 6 {
				key = string(p[40:44])
			}
			want[key] = append(want[key], string(withoutID(p)))
			c.Add(p)
			if r.IntN(60) == 0 {
				c.Flush()
			}
		}
		c.Flush()
		supers += c.Supers
		for len(d.Written) > 0 {
			w := <-d.Written
			ps := [][]byte{w[tun.HeaderLen:]}
			if w[1] != 0 {
				var err error
				if ps, err = esptest.Split(w); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range ps {
				key := string(p[20:24])
				if p[0]>>4 == 6 {
					key = string(p[40:44])
				}
				got[key] = append(got[key], string(withoutID(p)))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("round %d: other packets, or in another order", round)
		}
	}
	if supers < 1000 {
		t.Errorf("only %d super-packets", supers)
	}
}

// FuzzCoalesce: what is joined comes apart into the same packets.
func FuzzCoalesce(f *testing.F) {
	f.Add(flow4.TCP(1, 16, nil, random(30)), flow4.TCP(31, 16, nil, random(30)))
	f.Add(flow4.TCP(1, 16, nil, random(30)), flow4.TCP(31, 24, nil, random(20)))
	f.Add(flow6.UDP(random(30)), flow6.UDP(random(30)))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		d := esptest.NewDevice(10)
		c := tun.NewCoalescer(d)
		var want, got []string
		for _, p := range [][]byte{a, b, a} {
			if len(p) > 0 {
				c.Add(append([]byte(nil), p...))
				want = append(want, string(withoutID(p)))
			}
		}
		c.Flush()
		for len(d.Written) > 0 {
			w := <-d.Written
			ps := [][]byte{w[tun.HeaderLen:]}
			if w[1] != 0 {
				var err error
				if ps, err = esptest.Split(w); err != nil {
					t.Fatalf("what was written is malformed: %v", err)
				}
			}
			for _, p := range ps {
				got = append(got, string(withoutID(p)))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %x, want %x", got, want)
		}
	})
}

// withoutID returns an IPv4 packet without the two fields that the kernel may
// number anew where Don't Fragment is set.
func withoutID(p []byte) []byte {
	p = append([]byte(nil), p...)
	if len(p) >= 20 && p[0] == 0x45 && p[6]&0x40 != 0 {
		clear(p[4:6])
		clear(p[10:12])
	}
	return p
}

// sink is a device that takes everything and keeps nothing.
type sink struct{ *esptest.Device }

func (sink) Write([][]byte) error { return nil }

func TestAllocs(t *testing.T) {
	c := tun.NewCoalescer(sink{esptest.NewDevice(1)})
	var ps, fresh [][]byte
	for i := range 40 {
		ps = append(ps, flow4.TCP(uint32(i*1300), 16, nil, random(1300)))
		fresh = append(fresh, append([]byte(nil), ps[i]...))
	}
	super := esptest.Super(flow4.TCP(1, 16, nil, random(60_000)), 1300)
	dst := make([]byte, 2000)
	var s tun.Super
	if n := testing.AllocsPerRun(100, func() {
		for i, p := range ps {
			copy(p, fresh[i]) // Flush changes headers
			c.Add(p)
		}
		c.Flush()
		if c.Supers == 0 || c.Packets%40 != 0 {
			t.Fatal("nothing was joined")
		}
		if err := tun.ParseSuper(super, &s); err != nil {
			t.Fatal(err)
		}
		for i := range s.Count() {
			s.Put(dst, i)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPut(b *testing.B) {
	super := esptest.Super(flow4.TCP(1, 16, nil, random(60_000)), 1300)
	dst := make([]byte, 2000)
	var s tun.Super
	if err := tun.ParseSuper(super, &s); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1340)
	for i := 0; b.Loop(); i++ {
		s.Put(dst, i%40)
	}
}

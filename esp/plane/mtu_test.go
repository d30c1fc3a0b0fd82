package plane_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
)

func TestTooBig(t *testing.T) {
	const limit = 938 // through 1000 bytes
	for _, tt := range []struct {
		name string
		flow esptest.Flow
		mtu  int
	}{{"IPv4", toB, limit}, {"IPv6", toB6, 1280}} {
		t.Run(tt.name, func(t *testing.T) {
			a, b, _ := connected(t, pair, func(c *plane.Config) { c.MaxPathMTU = 1000 })
			if path, inner, ok := a.PathMTU(1); path != 1000 || inner != limit || !ok {
				t.Errorf("path MTU %d, inner %d, %v", path, inner, ok)
			}
			header := 28
			if tt.mtu == 1280 {
				header = 48
			}
			fits := tt.flow.UDP(random(tt.mtu - header))
			a.dev.Inject <- esptest.Plain(fits)
			if got := b.inner(t, 1)[0]; !bytes.Equal(got, fits) {
				t.Error("what fits is damaged")
			}
			large := tt.flow.UDP(random(tt.mtu - header + 1))
			a.dev.Inject <- esptest.Plain(large)
			got := a.inner(t, 1)[0]
			var p esp.Inner
			if !esp.ParseInner(got, &p) || p.Len != len(got) || p.Src != tt.flow.Dst.Addr() ||
				p.Dst != tt.flow.Src.Addr() {
				t.Fatalf("not an answer: % x", got)
			}
			icmp := got[p.Transport:]
			if p.V6 {
				if p.Protocol != esp.ProtoICMPv6 || icmp[0] != 2 || binary.BigEndian.Uint32(icmp[4:]) != 1280 ||
					tun.Checksum(got, 40, 58) != 0 || len(got) > 1280 {
					t.Errorf("answer is % x", got)
				}
			} else if p.Protocol != esp.ProtoICMP || icmp[0] != 3 || icmp[1] != 4 ||
				binary.BigEndian.Uint16(icmp[6:]) != limit ||
				tun.HeaderChecksum(icmp) != 0 || tun.HeaderChecksum(got[:20]) != 0 {
				t.Errorf("answer is % x", got)
			}
			if !bytes.HasPrefix(large, icmp[8:]) || len(icmp) < 8+28 {
				t.Errorf("it does not quote the packet")
			}
			until(t, "the count of what was told", func() bool { return a.Stats().Sum(stats.TooBigSent) > 0 })
			if s := a.Stats(); s.Sum(stats.DropTooBig) != 1 || s.Sum(stats.TooBigSent) != 1 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

// TestTooBigIsSilent: no ICMP error is about an ICMP error, or about packets
// that came from nowhere.
func TestTooBigIsSilent(t *testing.T) {
	a, _, _ := connected(t, pair, func(c *plane.Config) { c.MaxPathMTU = 1000 })
	a.dev.Inject <- esptest.Plain(toB.IP(esp.ProtoICMP, append([]byte{3, 1}, make([]byte, 1200)...)))
	a.dev.Inject <- esptest.Plain(toB6.IP(esp.ProtoICMPv6, append([]byte{1, 1}, make([]byte, 1300)...)))
	until(t, "the drops", func() bool { return a.Stats().Sum(stats.DropTooBig) == 2 })
	if n := len(a.dev.Written); n != 0 {
		t.Errorf("%d answers", n)
	}
}

func TestFragments(t *testing.T) {
	a, b, _ := connected(t, pair, func(c *plane.Config) { c.MaxPathMTU = 700 })
	for _, n := range []int{600, 700, 1300, 1400, 5000, 20_000, 60_000} {
		for _, options := range [][]byte{nil, {0x94, 4, 0, 0}, {7, 7, 4, 0, 0, 0, 0, 0}} {
			want := toB.UDP(random(n))
			want = append(append(append([]byte(nil), want[:20]...), options...), want[20:]...)
			want[0] = 0x45 + byte(len(options)/4)
			want[6] = 0 // no DF
			esptest.FixIPv4(want)
			a.dev.Inject <- esptest.Plain(want)
			header := 20 + len(options)
			data := make([]byte, len(want)-header)
			for got, last := 0, false; got < len(data) || !last; {
				p := b.inner(t, 1)[0]
				ihl := int(p[0]&0xf) * 4
				if int(binary.BigEndian.Uint16(p[2:])) != len(p) || tun.HeaderChecksum(p[:ihl]) != 0 || len(p) > 638 {
					t.Fatalf("bad fragment of %d bytes: % x", len(p), p[:ihl])
				}
				field := binary.BigEndian.Uint16(p[6:])
				offset := int(field&0x1fff) * 8
				last = last || field&0x2000 == 0
				wantIHL := header
				if offset > 0 && len(options) > 0 && options[0]&0x80 == 0 {
					wantIHL = 20
				}
				if ihl != wantIHL {
					t.Errorf("fragment at %d has a header of %d bytes, want %d", offset, ihl, wantIHL)
				}
				got += copy(data[offset:], p[ihl:])
			}
			if !bytes.Equal(data, want[header:]) {
				t.Fatalf("%d bytes: the fragments are something else", n)
			}
		}
	}
}

// TestFragmentOfFragment: what is a fragment already keeps its place.
func TestFragmentOfFragment(t *testing.T) {
	a, b, _ := connected(t, pair, func(c *plane.Config) { c.MaxPathMTU = 700 })
	p := toB.IP(17, random(1000))
	binary.BigEndian.PutUint16(p[6:], 0x2000|10)
	esptest.FixIPv4(p)
	a.dev.Inject <- esptest.Plain(p)
	got := b.inner(t, 2)
	if f := binary.BigEndian.Uint16(got[0][6:]); f != 0x2000|10 {
		t.Errorf("first: %#x", f)
	}
	if f := binary.BigEndian.Uint16(got[1][6:]); f != 0x2000|(10+uint16(len(got[0])-20)/8) {
		t.Errorf("second: %#x", f)
	}
}

func TestClampMSS(t *testing.T) {
	a, b, _ := connected(t, pair, func(c *plane.Config) { c.MaxPathMTU = 1000 })
	mss := func(n uint16) []byte { return []byte{1, 3, 3, 7, 2, 4, byte(n >> 8), byte(n), 4, 2, 1, 1} }
	for _, tt := range []struct {
		flow           esptest.Flow
		options        []byte
		flags          byte
		mss            uint16 // in what arrives; 0: options unchanged
		outward, super bool
	}{
		{toB, mss(1460), 2, 938 - 40, true, false},
		{toB, mss(1460), 0x12, 938 - 40, true, true},
		{toB, mss(500), 2, 500, true, false},
		{toB, mss(1460), 0x10, 1460, true, false},
		{toB6, mss(1440), 2, 1280 - 60, true, false},
		{toA, mss(1460), 2, 938 - 40, false, false},
		{toB, []byte{2, 3, 0, 0}, 2, 0, true, false},
		{toB, []byte{1, 1, 1, 2}, 2, 0, true, false},
		{toB, []byte{0, 2, 4, 255}, 2, 0, true, false},
	} {
		from, to := a, b
		if !tt.outward {
			from, to = b, a
			// The sender has a wide path; the receiver's is what counts.
			_, cb := pair.Children()
			b.apply(t, sa.OpMove, cb, 0)
		}
		p := tt.flow.TCP(1, tt.flags, tt.options, nil)
		from.dev.Inject <- esptest.Plain(p)
		got := to.inner(t, 1)[0]
		want := tt.flow.TCP(1, tt.flags, tt.options, nil)
		if tt.mss != 0 {
			want = tt.flow.TCP(1, tt.flags, mss(tt.mss), nil)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: got % x, want % x", tt, got, want)
		}
	}
}

func TestPathMTUFromOutside(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	quoted := []byte{0, 0, 0x10, 1, 0, 0, 0, 1} // A's outbound SPI
	for _, tt := range []struct {
		name   string
		origin plane.Origin
		mtu    int
		quoted []byte
		remote netip.AddrPort
		want   int
	}{
		{"another SPI", plane.OriginNetwork, 1000, []byte{0, 0, 9, 9, 0, 0, 0, 1}, b.natt.Addr, 1500},
		{"another peer", plane.OriginNetwork, 1000, quoted, netip.MustParseAddrPort("192.0.2.77:4500"), 1500},
		{"no quote", plane.OriginNetwork, 1000, nil, b.natt.Addr, 1500},
		{"a quote shorter than an ESP header", plane.OriginNetwork, 1000, quoted[:7], b.natt.Addr, 1500},
		{"lower", plane.OriginNetwork, 1300, quoted, b.natt.Addr, 1300},
		{"higher", plane.OriginNetwork, 1400, quoted, b.natt.Addr, 1300},
		{"our own kernel", plane.OriginKernel, 1200, nil, b.natt.Addr, 1200},
		{"our own kernel about another SPI", plane.OriginKernel, 1100, []byte{0, 0, 9, 9, 0, 0, 0, 1},
			b.natt.Addr, 1100},
		{"absurd", plane.OriginNetwork, 60, quoted, b.natt.Addr, 576},
	} {
		errors := a.Stats().Sum(stats.ReceiveErrors)
		a.natt.TooBig(plane.Message{TooBig: tt.mtu, Origin: tt.origin, Data: tt.quoted, Remote: tt.remote})
		until(t, "the message", func() bool { return a.Stats().Sum(stats.ReceiveErrors) == errors+1 })
		until(t, tt.name, func() bool { mtu, _, _ := a.PathMTU(1); return mtu == tt.want })
	}
	until(t, "the report", func() bool { _, ok := a.reported(plane.ReportPathMTU); return ok })
	large := toB.UDP(random(1000))
	a.dev.Inject <- esptest.Plain(large)
	until(t, "the drop", func() bool { return a.Stats().Sum(stats.DropTooBig) == 1 })
	// A move may have led to another path.
	ca, _ := pair.Children()
	a.apply(t, sa.OpMove, ca, 0)
	a.dev.Inject <- esptest.Plain(large)
	b.inner(t, 1)
}

// TestPathMTUAmongForgeries: guesses of SPIs, however many, keep nobody from being
// told what the path carries.
func TestPathMTUAmongForgeries(t *testing.T) {
	a, b, _ := connected(t, pair, func(c *plane.Config) { c.Now = func() time.Time { return time.Unix(1e9, 0) } })
	for spi := range uint32(1000) {
		quoted := append(binary.BigEndian.AppendUint32(nil, 0x9000+spi), 0, 0, 0, 1)
		a.natt.TooBig(plane.Message{TooBig: 600, Data: quoted, Remote: b.natt.Addr})
	}
	a.natt.TooBig(plane.Message{TooBig: 1300, Data: []byte{0, 0, 0x10, 1, 0, 0, 0, 1}, Remote: b.natt.Addr})
	until(t, "the lower path MTU", func() bool { mtu, _, _ := a.PathMTU(1); return mtu == 1300 })
	ca, _ := pair.Children()
	a.apply(t, sa.OpDelete, ca, 0)
	a.natt.TooBig(plane.Message{TooBig: 1200, Data: []byte{0, 0, 0x10, 1, 0, 0, 0, 1}, Remote: b.natt.Addr})
	until(t, "the message about no SA", func() bool { return a.Stats().Sum(stats.ReceiveErrors) == 1002 })
}

func TestOuterHeader(t *testing.T) {
	plain, df := toB.UDP(nil), toB.UDP(nil)
	plain[6], plain[1] = 0, 0xba // AF41, ECT(0)
	esptest.FixIPv4(plain)
	for _, tt := range []struct {
		policy  sa.DF
		inner   []byte
		wantDF  bool
		wantTOS uint8
	}{
		{"", plain, false, 0xba}, {"", df, true, 0}, {"", toB6.UDP(nil), true, 0},
		{sa.DFSet, plain, true, 0xba}, {sa.DFSet, df, true, 0},
		{sa.DFClear, plain, false, 0xba}, {sa.DFClear, df, false, 0},
	} {
		a, b, net := connected(t, pair, func(c *plane.Config) { c.Options.DF = tt.policy })
		got := make(chan esptest.Datagram, 1)
		net.Fault = func(d esptest.Datagram) []esptest.Datagram {
			got <- d
			return []esptest.Datagram{d}
		}
		a.dev.Inject <- esptest.Plain(tt.inner)
		b.inner(t, 1)
		if d := <-got; d.DF != tt.wantDF || d.TOS != tt.wantTOS {
			t.Errorf("policy %q, inner % x: DF %v, TOS %#x", tt.policy, tt.inner[:8], d.DF, d.TOS)
		}
	}
}

// TestNoSocket: a child SA whose local address has no socket sends nothing, and
// goes on when it has moved to one that has.
func TestNoSocket(t *testing.T) {
	a, b, _ := connected(t, pair, nil)
	ca, _ := pair.Children()
	here := ca.LocalAddr
	ca.LocalAddr = netip.MustParseAddrPort("192.0.2.99:4500")
	a.apply(t, sa.OpMove, ca, 0)
	a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	until(t, "the drop", func() bool { return a.Stats().Sum(stats.DropNoSocket) == 1 })
	ca.LocalAddr = here
	a.apply(t, sa.OpMove, ca, 0)
	a.dev.Inject <- esptest.Plain(toB.UDP(nil))
	b.inner(t, 1)
}

func TestApplyRefuses(t *testing.T) {
	a, _, _ := connected(t, pair, nil)
	ca, _ := pair.Children()
	other := ca
	other.ID = 9
	for name, c := range map[string]sa.Child{
		"SPI in use":   func() sa.Child { c := other; c.Slot = 5; return c }(),
		"slot in use":  func() sa.Child { c := other; c.In.SPI = 77; return c }(),
		"no such slot": func() sa.Child { c := other; c.In.SPI = 77; c.Slot = 5000; return c }(),
		"window":       func() sa.Child { c := other; c.In.SPI = 77; c.Slot = 5; c.ReplayWindow = 7; return c }(),
		"no keys": func() sa.Child {
			c := other
			c.In.SPI = 77
			c.Slot = 5
			c.In.EncryptionKey.Len()
			c.Out = sa.SA{}
			return c
		}(),
		"no ID":      func() sa.Child { c := other; c.ID = 0; return c }(),
		"no address": func() sa.Child { c := other; c.RemoteAddr = netip.AddrPort{}; return c }(),
	} {
		if err := a.Apply(&sa.Change{Op: sa.OpAdd, Child: c}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := a.Apply(&sa.Change{Op: sa.OpAdd, Child: ca}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := a.Apply(&sa.Change{Op: sa.OpDelete, Child: other}); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	if err := a.Apply(&sa.Change{}); err == nil {
		t.Error("no operation: no error")
	}
}

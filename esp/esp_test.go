package esp_test

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

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/transform"
	"github.com/warrenvpn/warren/internal/record/recordtest"
)

var pair = esptest.Pair{
	ID: 1, SlotB: 1, Encryption: "aes-128-gcm", Window: 64, SPI: 0x100,
	AddrA: "192.0.2.1:4500", AddrB: "192.0.2.2:4500",
	BehindA: []string{"10.1.0.0/16", "2001:db8:1::/48"}, BehindB: []string{"10.2.0.0/16", "2001:db8:2::/48"},
}

// halves returns A's outbound and B's inbound half.
func halves(t testing.TB, p esptest.Pair) (*esp.Outbound, *esp.Inbound, *esp.Counters) {
	t.Helper()
	counters := esptest.Counters(4)
	a, b := p.Children()
	for _, c := range []sa.Child{a, b} {
		if _, err := counters.Claim(c.Slot, c.ID, c.ReplayWindow); err != nil {
			t.Fatal(err)
		}
	}
	out, err := esp.NewOutbound(&a, counters)
	if err != nil {
		t.Fatal(err)
	}
	in, err := esp.NewInbound(&b, counters)
	if err != nil {
		t.Fatal(err)
	}
	return out, in, counters
}

// seal seals one inner packet.
func seal(t testing.TB, out *esp.Outbound, inner []byte) []byte {
	t.Helper()
	seq, ok := out.Reserve(1)
	if !ok {
		t.Fatal("no sequence number")
	}
	b := make([]byte, out.PacketLen(len(inner)))
	copy(b[out.HeaderLen():], inner)
	return out.Seal(b, len(inner), seq)
}

var flow = esptest.NewFlow("10.1.0.5:4000", "10.2.0.7:80")

func TestSelectors(t *testing.T) {
	web := esptest.Selectors("10.2.0.7/32")
	web[0].Protocol, web[0].StartPort, web[0].EndPort = 6, 80, 80
	for _, tt := range []struct {
		name  string
		inner []byte
		local []sa.Selector // at B; nil: as in pair
		want  error
	}{
		{"inside", flow.UDP(nil), nil, nil},
		{"forged source", esptest.NewFlow("10.3.0.5:4000", "10.2.0.7:80").UDP(nil), nil, esp.ErrSelector},
		{"foreign destination", esptest.NewFlow("10.1.0.5:4000", "10.3.0.7:80").UDP(nil), nil, esp.ErrSelector},
		{"forged IPv6 source", esptest.NewFlow("[2001:db8:9::1]:1", "[2001:db8:2::1]:1").UDP(nil), nil,
			esp.ErrSelector},
		{"inside IPv6", esptest.NewFlow("[2001:db8:1::1]:1", "[2001:db8:2::1]:1").UDP(nil), nil, nil},
		{"right port", flow.TCP(1, 2, nil, nil), web, nil},
		{"wrong port", esptest.NewFlow("10.1.0.5:4000", "10.2.0.7:81").TCP(1, 2, nil, nil), web, esp.ErrSelector},
		{"wrong protocol", flow.UDP(nil), web, esp.ErrSelector},
		{"later fragment has no port", laterFragment(flow.TCP(1, 16, nil, make([]byte, 64))), web, esp.ErrSelector},
		{"later fragment, all ports", laterFragment(flow.TCP(1, 16, nil, make([]byte, 64))), nil, nil},
		{"not IP", bytes.Repeat([]byte{0x55}, 40), nil, esp.ErrMalformed},
		{"length beyond the end", longer(flow.UDP(nil)), nil, esp.ErrMalformed},
		{"nothing", nil, nil, esp.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, in, counters := halves(t, pair)
			if tt.local != nil {
				_, b := pair.Children()
				b.Local = tt.local
				var err error
				if in, err = esp.NewInbound(&b, counters); err != nil {
					t.Fatal(err)
				}
			}
			got, _, err := in.Open(seal(t, out, tt.inner), 0)
			if !errors.Is(err, tt.want) || err == nil && !bytes.Equal(got, tt.inner) {
				t.Errorf("got % x, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func laterFragment(b []byte) []byte {
	binary.BigEndian.PutUint16(b[6:], 5)
	esptest.FixIPv4(b)
	return b
}

func longer(b []byte) []byte {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+9))
	return b
}

func TestReplay(t *testing.T) {
	out, in, counters := halves(t, pair)
	first := seal(t, out, flow.UDP(nil))
	again := append([]byte(nil), first...)
	if _, newest, err := in.Open(first, 0); err != nil || !newest {
		t.Fatal(newest, err)
	}
	if _, _, err := in.Open(again, 0); !errors.Is(err, esp.ErrReplay) {
		t.Errorf("again: %v", err)
	}
	late := seal(t, out, flow.UDP(nil))
	for range 63 {
		if _, _, err := in.Open(seal(t, out, flow.UDP(nil)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, newest, err := in.Open(append([]byte(nil), late...), 0); err != nil || newest {
		t.Errorf("late, but within the window: %v %v", newest, err)
	}
	seal(t, out, nil)
	if _, _, err := in.Open(seal(t, out, flow.UDP(nil)), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := in.Open(late, 0); !errors.Is(err, esp.ErrReplay) {
		t.Errorf("too late: %v", err)
	}
	if f := counters.Slot(1).Facts(); f.ReplayDropped != 2 || f.IntegrityFailed != 0 {
		t.Errorf("counted %+v", f)
	}
}

// TestForgeryMovesNothing: what is not authentic changes nothing but a counter.
func TestForgeryMovesNothing(t *testing.T) {
	out, in, counters := halves(t, pair)
	good := seal(t, out, flow.UDP([]byte("hello")))
	forged := append([]byte(nil), good...)
	binary.BigEndian.PutUint32(forged[4:], 1<<31)
	if _, _, err := in.Open(forged, 0); !errors.Is(err, esp.ErrIntegrity) {
		t.Errorf("forged: %v", err)
	}
	if w := counters.Window(1); w.Top() != 0 {
		t.Errorf("window moved to %d", w.Top())
	}
	if _, _, err := in.Open(good, 0); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// body seals a body that Seal would not make.
func body(t testing.TB, b []byte, seq uint64) []byte {
	t.Helper()
	a, _ := pair.Children()
	c, err := transform.New(&a.Out, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, transform.HeaderLen+c.IVLen()+len(b)+c.ICVLen())
	binary.BigEndian.PutUint32(p, uint32(a.Out.SPI))
	binary.BigEndian.PutUint32(p[4:], uint32(seq))
	copy(p[transform.HeaderLen+c.IVLen():], b)
	c.Seal(p, seq)
	return p
}

func TestBodies(t *testing.T) {
	inner := flow.UDP([]byte("1234567890")) // 38 bytes, and 2 of trailer
	tfc := append(append([]byte(nil), inner...), make([]byte, 1000)...)
	for _, tt := range []struct {
		name string
		body []byte
		want error
	}{
		{"no padding", append(append([]byte(nil), inner...), 0, 4), nil},
		{"TFC padding", append(tfc, 0, 4), nil},
		{"padding", append(append([]byte(nil), inner...), 1, 2, 3, 4, 4, 4), nil},
		{"dummy", append(make([]byte, 38), 0, 59), esp.ErrDummy},
		{"dummy that is only a trailer", []byte{1, 2, 2, 59}, esp.ErrDummy},
		{"more padding than body", append(append([]byte(nil), inner...), 200, 4), esp.ErrMalformed},
		{"IPv4 said to be IPv6", append(append([]byte(nil), inner...), 0, 41), esp.ErrMalformed},
		{"transport mode", append(append([]byte(nil), inner...), 0, 17), esp.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, in, _ := halves(t, pair)
			got, _, err := in.Open(body(t, tt.body, 1), 0)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && !bytes.Equal(got, inner) {
				t.Error(cmp.Diff(inner, got))
			}
		})
	}
}

// TestECN is the table of RFC 6040 section 4.2, figure 4.
func TestECN(t *testing.T) {
	const drop = 0xff
	for inner, row := range [4][4]uint8{
		// outer: Not-ECT, ECT(1), ECT(0), CE
		0: {0, 0, 0, drop},
		1: {1, 1, 1, 3},
		2: {2, 1, 2, 3},
		3: {3, 3, 3, 3},
	} {
		for outer, want := range row {
			for _, f := range []esptest.Flow{flow, esptest.NewFlow("[2001:db8:1::1]:1", "[2001:db8:2::1]:1")} {
				p := f.UDP([]byte("x"))
				v6 := p[0]>>4 == 6
				if v6 {
					p[0], p[1] = 0x6b, 0x80|byte(inner)<<4
				} else {
					p[1] = 0xb8 | byte(inner)
					esptest.FixIPv4(p)
				}
				out, in, _ := halves(t, pair)
				got, _, err := in.Open(seal(t, out, p), 0x28|uint8(outer))
				if want == drop {
					if !errors.Is(err, esp.ErrECN) {
						t.Errorf("inner %d, outer %d: %v", inner, outer, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if tos := in.Inner().TOS; tos != 0xb8|want {
					t.Errorf("inner %d, outer %d: %#x, want %#x", inner, outer, tos, 0xb8|want)
				}
				sum := append([]byte(nil), got...)
				if !v6 {
					esptest.FixIPv4(sum)
				}
				var again esp.Inner
				if !bytes.Equal(sum, got) || !esp.ParseInner(got, &again) || again != *in.Inner() {
					t.Errorf("inner %d, outer %d: the header is wrong: % x", inner, outer, got[:20])
				}
			}
		}
	}
}

func TestAdopt(t *testing.T) {
	mem := make([]byte, esp.CountersSize(3))
	a, err := esp.NewCounters(mem)
	if err != nil {
		t.Fatal(err)
	}
	for _, window := range []uint32{64, 1024, 4096} {
		if adopted, err := a.Claim(1, 7, window); err != nil || adopted {
			t.Fatal(adopted, err)
		}
		s := a.Slot(1)
		s.Reserve(100, 1<<32-1)
		w := a.Window(1)
		w.Commit(5)
		w.Commit(2000)
		w.Commit(2001)
		s.CountIn(3, 300, 99)

		// The worker dies; its successor maps the same memory.
		b, err := esp.NewCounters(mem)
		if err != nil {
			t.Fatal(err)
		}
		if adopted, err := b.Claim(1, 7, window); err != nil || !adopted {
			t.Fatal(adopted, err)
		}
		if first, ok := b.Slot(1).Reserve(1, 1<<32-1); !ok || first != 101+esp.AdoptMargin {
			t.Errorf("the first number after adoption is %d", first)
		}
		w = b.Window(1)
		if w.Check(2000) || w.Check(2001) || !w.Check(1999) || !w.Check(2002) {
			t.Error("the window is another one")
		}
		if f := b.Slot(1).Facts(); f.PacketsIn != 3 || f.BytesIn != 300 || f.LastIn != 99 {
			t.Errorf("counters are %+v", f)
		}
		// Another size: nothing that was seen passes again.
		if _, err := b.Claim(1, 7, 192); err != nil {
			t.Fatal(err)
		}
		w = b.Window(1)
		if w.Check(1999) || w.Check(2001) || !w.Check(2002) {
			t.Error("after a change of size")
		}
		// Another child starts from zero.
		if adopted, err := b.Claim(1, 8, window); err != nil || adopted {
			t.Fatal(adopted, err)
		}
		if f := b.Slot(1).Facts(); f != (esp.Facts{}) {
			t.Errorf("a new child has %+v", f)
		}
		b.Release(1)
	}
	if _, err := a.Claim(3, 1, 64); err == nil {
		t.Error("slot 3 of 3")
	}
	if _, err := a.Claim(0, 1, 63); err == nil {
		t.Error("a window of 63")
	}
	if _, err := esp.NewCounters(nil); !errors.Is(err, esp.ErrCounters) {
		t.Error(err)
	}
	for _, i := range []int{0, 7} { // the version of the layout, and the name of the format
		other := bytes.Clone(mem)
		other[i] = 99
		if _, err := esp.NewCounters(other); !errors.Is(err, esp.ErrCountersVersion) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

// TestOlderCounters goes on with the counters that older programs left.
func TestOlderCounters(t *testing.T) {
	want := esp.Facts{PacketsIn: 3, BytesIn: 300, PacketsOut: 5, BytesOut: 500, SequenceOut: 41, SequenceIn: 7,
		LastIn: 1700000000, LastOut: 1700000001}
	mem := make([]byte, esp.CountersSize(1))
	c, err := esp.NewCounters(mem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Claim(0, 9, 1024); err != nil {
		t.Fatal(err)
	}
	s, w := c.Slot(0), c.Window(0)
	s.SetOutLimit(4096)
	s.SkipOut(want.SequenceOut + 1)
	s.CountIn(want.PacketsIn, want.BytesIn, want.LastIn)
	s.CountOut(want.PacketsOut, want.BytesOut, want.LastOut)
	w.Commit(5)
	w.Commit(want.SequenceIn)
	image := recordtest.Sample{Name: "counters", Bytes: bytes.TrimRight(mem, "\x00")}
	recordtest.Memory(t, []recordtest.Sample{image}, func(b []byte) error {
		c, err := esp.NewCounters(slices.Concat(b, make([]byte, esp.CountersSize(1)-len(b))))
		if err != nil {
			return err
		}
		adopted, err := c.Claim(0, 9, 1024)
		s, w := c.Slot(0), c.Window(0)
		got := s.Facts()
		got.SequenceOut -= esp.AdoptMargin
		if err != nil || !adopted || got != want || s.OutLimit() != 4096 || w.Check(5) || !w.Check(6) || w.Check(7) {
			return fmt.Errorf("adopted %v (%v): %+v up to %d, want %+v", adopted, err, got, s.OutLimit(), want)
		}
		return nil
	})
}

func TestReserve(t *testing.T) {
	c := esptest.Counters(1)
	c.Claim(0, 1, 64)
	s := c.Slot(0)
	s.SetOutLimit(10)
	for _, tt := range []struct {
		n, ceiling, first uint64
		ok                bool
	}{{5, 100, 1, true}, {6, 100, 0, false}, {5, 9, 0, false}, {5, 100, 6, true}, {1, 100, 0, false}} {
		if first, ok := s.Reserve(tt.n, tt.ceiling); first != tt.first || ok != tt.ok {
			t.Errorf("Reserve(%d, %d) = %d, %v", tt.n, tt.ceiling, first, ok)
		}
	}
	s.SetOutLimit(0)
	s.SkipOut(50)
	s.SkipOut(20)
	if first, ok := s.Reserve(1, 1<<64-1); first != 50 || !ok {
		t.Error(first, ok)
	}
	s.SkipOut(1<<64 - 1)
	if first, ok := s.Reserve(2, 1<<64-1); ok {
		t.Error("went round:", first)
	}
}

func TestSPITable(t *testing.T) {
	var table esp.SPITable[uint32]
	model := map[sa.SPI]*uint32{}
	r := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		spi := sa.SPI(r.Uint32N(3000))
		if r.IntN(2) == 0 {
			v := r.Uint32()
			table.Set(spi, &v)
			model[spi] = &v
		} else {
			table.Set(spi, nil)
			delete(model, spi)
		}
		probe := sa.SPI(r.Uint32N(3000))
		if table.Find(probe) != model[probe] || table.Len() != len(model) {
			t.Fatal("the table forgot or invented something")
		}
	}
}

func TestPolicyTable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	var table esp.PolicyTable[uint64]
	type rule struct {
		remote sa.Selector
		v      *uint64
	}
	var rules []rule
	addr := func() netip.Addr {
		if r.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 7: byte(r.IntN(3)), 15: byte(r.IntN(256))})
		}
		return netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(3)), byte(r.IntN(256))})
	}
	for i := range uint64(3000) {
		if len(rules) > 0 && r.IntN(3) == 0 {
			k := r.IntN(len(rules))
			table.Remove(*rules[k].v)
			rules = append(rules[:k], rules[k+1:]...)
		}
		s := sa.Selector{Start: addr(), EndPort: 0xffff}
		for s.End = addr(); s.End.BitLen() != s.Start.BitLen() || s.End.Less(s.Start); s.End = addr() {
			s.Start = addr()
		}
		id := i + 1
		table.Add(id, esptest.Selectors("0.0.0.0/0", "::/0"), []sa.Selector{s}, &id)
		rules = append(rules, rule{s, &id})
		for range 10 {
			p := esp.Inner{Dst: addr(), Src: netip.IPv4Unspecified(), HasPorts: true}
			if p.Dst.Is6() {
				p.Src = netip.IPv6Unspecified()
			}
			got := table.Find(&p)
			any := false
			for _, rule := range rules {
				if rule.remote.Contains(p.Dst, 0, 0) {
					any = true
					if got == rule.v {
						goto found
					}
				}
			}
			if any || got != nil {
				t.Fatalf("step %d: %v leads to %v, some rule covers it: %v", i, p.Dst, got, any)
			}
		found:
		}
	}
}

func TestPolicyPreference(t *testing.T) {
	var table esp.PolicyTable[string]
	names := []string{0: "", 1: "any", 2: "site", 3: "host", 4: "host again", 5: "web"}
	anywhere := esptest.Selectors("0.0.0.0/0")
	web := esptest.Selectors("10.2.0.7/32")
	web[0].Protocol, web[0].StartPort, web[0].EndPort = 6, 80, 80
	for id, remote := range [][]sa.Selector{1: anywhere, 2: esptest.Selectors("10.2.0.0/16"),
		3: esptest.Selectors("10.2.0.7/32"), 4: esptest.Selectors("10.2.0.7/32"), 5: web} {
		if id > 0 {
			table.Add(uint64(id), anywhere, remote, &names[id])
		}
	}
	find := func(b []byte) string {
		var p esp.Inner
		if !esp.ParseInner(b, &p) {
			t.Fatal("not a packet")
		}
		if v := table.Find(&p); v != nil {
			return *v
		}
		return "nothing"
	}
	tcp, udp := flow.TCP(1, 2, nil, nil), flow.UDP(nil)
	other := esptest.NewFlow("10.1.0.1:1", "10.2.0.8:1").UDP(nil)
	far := esptest.NewFlow("10.1.0.1:1", "198.51.100.1:1").UDP(nil)
	for i, step := range []struct {
		do                    func()
		tcp, udp, other, away string
	}{
		{func() {}, "web", "host again", "site", "any"},
		{func() { table.Demote(5, true) }, "host again", "host again", "site", "any"},
		{func() { table.Demote(4, true); table.Demote(3, true) }, "site", "site", "site", "any"},
		{func() { table.Remove(2); table.Remove(1) }, "web", "host again", "nothing", "nothing"},
		{func() { table.Demote(5, false); table.Remove(4) }, "web", "host", "nothing", "nothing"},
		{func() { table.Remove(5); table.Remove(3); table.Remove(3) }, "nothing", "nothing", "nothing", "nothing"},
	} {
		step.do()
		got := []string{find(tcp), find(udp), find(other), find(far)}
		if diff := cmp.Diff([]string{step.tcp, step.udp, step.other, step.away}, got); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
}

func TestAllocs(t *testing.T) {
	out, in, _ := halves(t, pair)
	inner := flow.TCP(1, 16, nil, make([]byte, 1300))
	b := make([]byte, out.PacketLen(len(inner)))
	var spis esp.SPITable[esp.Inbound]
	var policies esp.PolicyTable[esp.Outbound]
	spis.Set(in.SPI(), in)
	policies.Add(1, esptest.Selectors("0.0.0.0/0"), esptest.Selectors("10.2.0.0/16", "10.2.0.7/32"), out)
	var p esp.Inner
	if n := testing.AllocsPerRun(1000, func() {
		if !esp.ParseInner(inner, &p) {
			t.Fatal("not a packet")
		}
		o := policies.Find(&p)
		copy(b[o.HeaderLen():], inner)
		seq, _ := o.Reserve(1)
		sealed := o.Seal(b, len(inner), seq)
		spi, _ := esp.SPI(sealed)
		if _, _, err := spis.Find(spi).Open(sealed, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseInner(f *testing.F) {
	f.Add(flow.UDP([]byte("x")))
	f.Add(esptest.NewFlow("[2001:db8:1::1]:1", "[2001:db8:2::1]:1").IP(0,
		append([]byte{6, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 20)...)))
	f.Add(esptest.NewFlow("[2001:db8:1::1]:1", "[2001:db8:2::1]:1").IP(44,
		append([]byte{17, 0, 0, 9, 0, 0, 0, 0}, make([]byte, 20)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p esp.Inner
		if !esp.ParseInner(b, &p) {
			return
		}
		if p.Len > len(b) || p.Transport > p.Len || !p.Src.IsValid() || p.V6 != p.Dst.Is6() {
			t.Errorf("%+v of %d bytes", p, len(b))
		}
	})
}

// FuzzOpen seals whatever the fuzzer likes as a body and opens it.
func FuzzOpen(f *testing.F) {
	f.Add(append(flow.UDP([]byte("1234567890")), 0, 4), uint8(0))
	f.Add(append(make([]byte, 38), 0, 59), uint8(3))
	_, in, _ := halves(f, pair)
	seq := uint64(0)
	f.Fuzz(func(t *testing.T, b []byte, tos uint8) {
		if len(b) > 60_000 {
			return
		}
		seq++
		for len(b)%4 != 0 || len(b) == 0 {
			b = append(b, 4)
		}
		got, _, err := in.Open(body(t, b, seq), tos)
		if err == nil && (len(got) != in.Inner().Len || len(got) < 20) {
			t.Errorf("%d bytes opened to %+v", len(got), in.Inner())
		}
	})
}

func BenchmarkTables(b *testing.B) {
	for _, n := range []int{1, 50_000} {
		var spis esp.SPITable[uint32]
		var policies esp.PolicyTable[uint32]
		anywhere := esptest.Selectors("0.0.0.0/0")
		values := make([]uint32, n)
		packets := make([]esp.Inner, n)
		for i := range n {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			spis.Set(sa.SPI(i*7919), &values[i])
			policies.Add(uint64(i), anywhere, []sa.Selector{sa.SelectorOf(netip.PrefixFrom(a, 32))}, &values[i])
			packets[i] = esp.Inner{Src: netip.MustParseAddr("10.255.0.1"), Dst: a, HasPorts: true}
		}
		b.Run(fmt.Sprint("spi/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				spis.Find(sa.SPI(i * 31 % n * 7919))
			}
		})
		b.Run(fmt.Sprint("policy/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				policies.Find(&packets[i*31%n])
			}
		})
	}
}

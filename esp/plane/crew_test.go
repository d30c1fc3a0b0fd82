package plane_test

import (
	"encoding/binary"
	"testing"

	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// crewSize is the crew of every plane in a test.
var crewSize = -1

// TestCrew runs the tests of everything that a crew touches with one, however
// many processors there are.
func TestCrew(t *testing.T) {
	crewSize = 3
	defer func() { crewSize = -1 }()
	for name, test := range map[string]func(*testing.T){
		"both ways":               TestBothWays,
		"super-packets":           TestSuperPackets,
		"UDP super-packet":        TestUDPSuperPacket,
		"hostile wire":            TestHostileWire,
		"rekey under load":        TestRekeyUnderLoad,
		"rekeyed pair comes back": TestRekeyedPairComesBack,
		"late packets":            TestLatePackets,
		"move":                    TestMove,
		"forged move":             TestForgedMove,
		"mute":                    TestMute,
		"limits":                  TestLimits,
		"sequence ends":           TestSequenceEnds,
		"reservation":             TestReservation,
		"too big":                 TestTooBig,
		"fragments":               TestFragments,
		"clamp":                   TestClampMSS,
		"path MTU":                TestPathMTUFromOutside,
		"outer header":            TestOuterHeader,
		"kernel":                  kernelWithCrew,
	} {
		t.Run(name, test)
	}
}

// kernelWithCrew is TestKernel for what a crew does in another way.
func kernelWithCrew(t *testing.T) {
	cbc := pair
	cbc.Encryption, cbc.Integrity, cbc.ESN = "aes-256-cbc", "sha256", true
	for _, p := range []esptest.Pair{pair, cbc} {
		a, b := lab(t, p, nil)
		echo(t, a, b, "10.2.0.1:7")
		transfer(t, a, b, "10.2.0.1:7000", 8<<20)
		transfer(t, b, a, "[2001:db8:1::1]:7000", 8<<20)
		for _, g := range []*real{a, b} {
			if s := g.Stats(); s.Sum(stats.DropIntegrity, stats.DropMalformed, stats.DropSelector, stats.DropSend,
				stats.DropDeliver, stats.DropReplay) > 0 {
				t.Errorf("%s: drops: %+v", p.Encryption, s)
			}
		}
	}
}

// TestCrewKeepsOrder: one SA with all it can carry, through a crew: sequence
// numbers go over the wire in order, and packets come out in order.
func TestCrewKeepsOrder(t *testing.T) {
	const supers, segments = 400, 40
	a, b, net := connected(t, pair, func(c *plane.Config) { c.Crew = 4 })
	var last uint32
	wrong := 0
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		if seq := binary.BigEndian.Uint32(d.Data[4:]); seq == last+1 {
			last = seq
		} else {
			wrong++
		}
		return []esptest.Datagram{d}
	}
	go func() {
		for i := range supers {
			var payload []byte
			for k := range segments {
				p := make([]byte, 1000)
				binary.BigEndian.PutUint32(p, uint32(i*segments+k))
				payload = append(payload, p...)
			}
			a.dev.Inject <- esptest.Super(toB.UDP(payload), 1000)
			until(t, "room", func() bool { return b.Stats().Sum(stats.PacketsIn)+4000 > uint64(i*segments) })
		}
	}()
	for i, p := range b.inner(t, supers*segments) {
		if got := binary.BigEndian.Uint32(p[28:]); int(got) != i {
			t.Fatalf("packet %d came in place of %d", got, i)
		}
	}
	if wrong > 0 || last != supers*segments {
		t.Errorf("%d packets out of order, the last is %d", wrong, last)
	}
}

// TestCrewAndDeletedChild: a child that is deleted while the crew has packets of
// it. What leaves was sealed with the SA as it was, or does not leave.
func TestCrewAndDeletedChild(t *testing.T) {
	a, b, _ := connected(t, pair, func(c *plane.Config) { c.Crew = 3 })
	other := pair
	other.ID, other.SPI, other.SlotA, other.SlotB = 11, 0x2000, 5, 5
	other.BehindA, other.BehindB = []string{"10.3.0.0/16"}, []string{"10.4.0.0/16"}
	ca, cb := other.Children()
	flow := esptest.NewFlow("10.3.0.1:1", "10.4.0.1:2")
	b.apply(t, sa.OpAdd, cb, 0)
	done := make(chan struct{})
	defer close(done)
	go func() { // nobody looks at what arrives
		for {
			select {
			case <-b.dev.Written:
			case <-done:
				return
			}
		}
	}()
	for i := range 200 {
		a.apply(t, sa.OpAdd, ca, 0)
		for range 3 {
			a.dev.Inject <- esptest.Super(flow.UDP(make([]byte, 60_000)), 1000)
			a.dev.Inject <- esptest.Super(toB.UDP(make([]byte, 30_000)), 1000)
		}
		if i%3 > 0 {
			until(t, "some packets", func() bool {
				return a.Stats().Sum(stats.PacketsOut, stats.DropPolicy, stats.DropClear) > uint64(i*90)
			})
		}
		a.apply(t, sa.OpDelete, ca, 0)
		out := a.counters.Slot(5).OutNext()
		until(t, "the rest", func() bool { return len(a.dev.Inject) == 0 })
		if now := a.counters.Slot(5).OutNext(); now != out {
			t.Fatalf("sequence numbers went from %d to %d after the end", out, now)
		}
	}
	if s := b.Stats(); s.Sum(stats.DropIntegrity, stats.DropMalformed, stats.DropSelector) > 0 {
		t.Errorf("what arrived was wrong: %+v", s)
	}
}

package iketest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestRekeyFlood: a client that rekeys its IKE SA without end has two IKE SAs at
// most, here and after a restart, and is served again when it is patient.
func TestRekeyFlood(t *testing.T) {
	l, g, f := met(t, nil)
	served := 0
	for range 600 {
		next, err := f.RekeyIKE(IKEProposal)
		if err == nil {
			served++
			f = next
		} else if s := err.Error(); s != "iketest: refused with TEMPORARY_FAILURE" && s != "iketest: no answer" {
			t.Fatal(err)
		}
	}
	if n := len(g.Engine.Status()); served > 8 || served < 4 || n > 2 || g.Engine.Usage().Deferred == 0 {
		t.Errorf("%d rekeyings in no time, %d IKE SAs", served, n)
	}
	g.Kill()
	if n := len(g.Engine.Status()); n > 2 {
		t.Errorf("%d IKE SAs after a restart", n)
	}
	l.Run(10 * time.Second)
	if _, err := f.RekeyIKE(IKEProposal); err != nil {
		t.Errorf("after a pause: %v", err)
	}
	only(t, g)
}

// TestChildFlood: child SAs are bounded for each IKE SA of a client, for all of
// one identity, and in time.
func TestChildFlood(t *testing.T) {
	flood := func(l *Lab, f *Foreign, n int, pause time.Duration) (made int, refused string) {
		for i := range n {
			ps := f.Ask(wire.CreateChildSA, newChildPayloads(0, sa.SPI(0x10000+i))...)
			if e := errorOf(ps); e != "" {
				refused = e
			} else {
				made++
			}
			l.Run(pause)
		}
		return made, refused
	}
	noDPD := func(c *exchange.Config) { c.Profiles[0].DPD = 0 }
	t.Run("a client", func(t *testing.T) {
		l, g, f := met(t, noDPD)
		if made, refused := flood(l, f, 30, 2*time.Second); made != 15 || refused != "NO_ADDITIONAL_SAS" ||
			len(g.Plane) != 16 {
			t.Errorf("%d more child SAs, then %s", made, refused)
		}
	})
	t.Run("an identity", func(t *testing.T) {
		l, g, _ := met(t, noDPD)
		for i := range 30 {
			s := NewStranger(g, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 3, byte(i)}), 500))
			s.iv = uint64(1000 * i)
			if f, err := Establish(g, s); err == nil {
				flood(l, f, 16, 0)
			}
		}
		if n := len(g.Plane); n != 256 {
			t.Errorf("one identity has %d child SAs", n)
		}
	})
	t.Run("in time", func(t *testing.T) {
		l, g, f := met(t, noDPD)
		for range 200 { // DELETE and CREATE_CHILD_SA in turn
			spi := sa.SPI(0x20000 + len(g.Events))
			if e := errorOf(f.Ask(wire.CreateChildSA, newChildPayloads(0, spi)...)); e != "" &&
				e != "TEMPORARY_FAILURE" {
				t.Fatal(e)
			}
			f.Ask(wire.Informational, deleteESP(spi))
		}
		if n := tally[exchange.ChildUp](g.Events); n > 70 || n < 30 {
			t.Errorf("%d child SAs in no time", n)
		}
		l.Run(time.Second)
		if e := errorOf(f.Ask(wire.CreateChildSA, newChildPayloads(0, 0x30000)...)); e != "" {
			t.Errorf("a second later: %s", e)
		}
	})
}

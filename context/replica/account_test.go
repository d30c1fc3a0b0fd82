package replica

import (
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/ike/exchange"
)

// accountant is a host that accounts for a child SA when it goes, as a worker does.
type accountant struct {
	*host
	n *node
}

func (h accountant) Install(c *sa.Change) error {
	if c.Op == sa.OpDelete {
		h.n.SetAccount(c.Child.Owner, Account{BytesIn: 1})
	}
	return h.host.Install(c)
}

// TestAccountEndsWithSA: what goes with a session leaves no account behind, on neither
// node; a child SA that goes alone has one.
func TestAccountEndsWithSA(t *testing.T) {
	a, b := newNode(t, pairOf(failover.UnitPrimary, true)), newNode(t, pairOf(failover.UnitSecondary, false))
	defer a.Stop("the test ends")
	defer b.Stop("the test ends")
	join(t, a, b)
	a.store.host = accountant{a.host, a}
	childDown := func(spi, id uint64) exchange.Record {
		return exchange.Record{Kind: exchange.RecordChild, SPI: spi,
			Child: &sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id, Owner: spi}}}
	}
	down := func(spi uint64) exchange.Record { return exchange.Record{Kind: exchange.RecordIKEDown, SPI: spi} }
	for i, tt := range []struct {
		name string
		end  func(spi, id uint64)
		want int // accounts
	}{
		{"the child SA first", func(spi, id uint64) { a.change(childDown(spi, id), down(spi)) }, 0},
		{"the IKE SA with its child SA", func(spi, _ uint64) { a.change(down(spi)) }, 0},
		{"the IKE SA later", func(spi, id uint64) { a.change(childDown(spi, id)); a.change(down(spi)) }, 0},
		{"the child SA alone", func(spi, id uint64) { a.change(childDown(spi, id)) }, 1},
	} {
		spi := uint64(i + 1)
		a.add(spi, spi+10)
		tt.end(spi, spi+10)
		exchangeUntil(t, a, b, func() bool { p := a.Progress(); return p.Acked == p.Last })
		for _, n := range []*node{a, b} {
			if got := len(n.store.accounts); got != tt.want {
				t.Errorf("%s: %v has %d accounts, want %d", tt.name, n.pair.Unit, got, tt.want)
			}
		}
	}
}

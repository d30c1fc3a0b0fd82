package replica

import (
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
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

// TestSnapshotKeepsUnknownOfSession: what a newer program adds to a session stays with it
// when its account changes, and when the journal is made anew.
func TestSnapshotKeepsUnknownOfSession(t *testing.T) {
	n := newNode(t, nil)
	n.add(1, 11)
	at, s, more := n.Now(), sessionEntry{spi: 1}, uint64(7)
	b := record.Append(nil, func(f *record.Fields) {
		f.Instant(2, &at)
		f.Record(5, func(f *record.Fields) { s.fields(f); record.Number(f, 1000, &more) })
	})
	e, err := parseEntry(b)
	if err != nil || e.session == nil || e.session.unknown.Len() == 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	n.store.append(b)
	n.restart()
	n.SetAccount(1, Account{BytesIn: 5})
	if err := n.store.journal.compact(n.store.snapshot); err != nil {
		t.Fatal(err)
	}
	n.restart()
	if got := n.store.accounts[1]; got.bytesIn != 5 || !got.unknown.Equal(e.session.unknown) {
		t.Errorf("account %+v", got)
	}
}

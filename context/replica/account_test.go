package replica

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
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
	twins(t, func(t *testing.T, a, b *node) {
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
	})
}

// TestSnapshotKeepsUnknownOfSession: what a newer program adds to a session stays with it
// when its account changes, when its IKE SA is rekeyed, however often, and when the journal
// is made anew; on both nodes.
func TestSnapshotKeepsUnknownOfSession(t *testing.T) {
	twins(t, func(t *testing.T, a, b *node) {
		join(t, a, b)
		a.add(1, 11)
		at, s, more := a.Now(), sessionEntry{spi: 1}, uint64(7)
		payload := record.Append(nil, func(f *record.Fields) {
			f.Instant(2, &at)
			f.Record(5, func(f *record.Fields) { s.fields(f); record.Number(f, 1000, &more) })
		})
		e, err := parseEntry(payload)
		if err != nil || e.session == nil || e.session.unknown.Len() == 0 {
			t.Fatalf("%+v, %v", e, err)
		}
		a.store.apply(at, e, &image{state: a.state, accounts: a.store.accounts, ours: true, live: true})
		a.role.record(payload)
		same := func(when string, spi, bytes uint64) {
			t.Helper()
			exchangeUntil(t, a, b, func() bool { p := a.Progress(); return p.Acked == p.Last })
			for _, n := range []*node{a, b} {
				got := n.store.accounts[spi]
				if len(n.store.accounts) != 1 || got.bytesIn != bytes || !got.unknown.Equal(e.session.unknown) {
					t.Errorf("%s: %v has %+v", when, n.pair.Unit, n.store.accounts)
				}
			}
		}
		same("as it came", 1, 0)
		a.SetAccount(1, Account{BytesIn: 5})
		same("another account", 1, 5)
		for old := uint64(1); old < 3; old++ {
			a.change(ikeRecord(old+1, old))
			a.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: old})
			same("rekeyed", old+1, 5)
		}
		a.change(ikeRecord(4, 3))
		a.SetAccount(4, Account{BytesIn: 6})
		a.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 3})
		same("rekeyed, and another account", 4, 6)
		for _, anew := range []bool{false, true} {
			for _, n := range []*node{a, b} {
				if anew {
					if err := n.store.journal.compact(n.store.snapshot); err != nil {
						t.Fatal(err)
					}
				}
				n.restart()
				if got := n.store.accounts[4]; got.bytesIn != 6 || !got.unknown.Equal(e.session.unknown) {
					t.Errorf("restart of %v, journal anew: %v: %+v", n.pair.Unit, anew, got)
				}
			}
		}
	})
}

// TestCondense: what has come and gone takes no room in a journal that is condensed, and a restart
// has what is there. One that has grown little stays as it is.
func TestCondense(t *testing.T) {
	n := newNode(t, nil)
	n.add(1, 11)
	n.Condense()
	if used, _ := n.store.journal.store.Used(); n.store.journal.bottom != 0 || used == 0 {
		t.Errorf("a short journal was condensed to %d octets", used)
	}
	grown := 0
	for spi := uint64(2); grown <= condenseAfter; spi++ {
		n.add(spi, 10+spi)
		n.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: spi})
		grown, _ = n.store.journal.store.Used()
	}
	n.Condense()
	if used, _ := n.store.journal.store.Used(); used > condenseAfter/8 {
		t.Errorf("%d octets are left of %d", used, grown)
	}
	n.restart()
	n.want("of the condensed journal", "[11]")
}

// TestRekeyedBeforeItsChildrenGo: the host knows of a rekeying before a child SA goes in the
// same step, which is the new IKE SA's already, or still the old one's where it goes first.
func TestRekeyedBeforeItsChildrenGo(t *testing.T) {
	n := newNode(t, nil)
	n.add(1, 11)
	n.change(childRecord(1, 12))
	order := &ordered{host: n.host}
	n.store.host = order
	down := func(id uint64) exchange.Record {
		return exchange.Record{Kind: exchange.RecordChild, SPI: 2,
			Child: &sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id, Owner: 2}}}
	}
	n.change(down(11), ikeRecord(2, 1), down(12), exchange.Record{Kind: exchange.RecordIKEDown, SPI: 1})
	if want := "11 of 1 goes, 1 becomes 2, 12 of 2 goes"; strings.Join(order.calls, ", ") != want {
		t.Errorf("got %q, want %s", order.calls, want)
	}
}

// ordered notes the calls of a host.
type ordered struct {
	*host
	calls []string
}

func (o *ordered) Rekeyed(old, spi uint64) {
	o.calls = append(o.calls, fmt.Sprintf("%d becomes %d", old, spi))
}

func (o *ordered) Install(c *sa.Change) error {
	o.calls = append(o.calls, fmt.Sprintf("%d of %d goes", c.Child.ID, c.Child.Owner))
	return o.host.Install(c)
}

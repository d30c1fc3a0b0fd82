package replica

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/ike/exchange"
)

// TestRefused: a child SA that the data plane does not take is named once, to the node
// that serves, whether it is new, of the journal or of the twin; one that has ended is not.
func TestRefused(t *testing.T) {
	twins(t, func(t *testing.T, a, b *node) {
		want := func(what string, n *node, want ...uint64) {
			t.Helper()
			if got := n.Refused(); !slices.Equal(got, want) {
				t.Errorf("%s: refused %d, want %d", what, got, want)
			}
		}
		a.add(1, 11)
		a.add(2, 22)
		want("all are taken", a)

		a.refuses = 22
		a.restart()
		a.want("after a restart", "[11]")
		want("of the journal", a, 22)
		want("asked again", a)
		a.refuses = 33
		a.add(3, 33)
		want("a new one", a, 33)
		a.refuses = 44
		a.add(4, 44)
		a.change(exchange.Record{Kind: exchange.RecordIKEDown, SPI: 4})
		want("one that has ended", a)

		b.refuses = 11
		join(t, a, b)
		want("on the standby", b)
		a.Stop("the test goes on")
		if _, err := b.SetRole(serves(3)); err != nil {
			t.Fatal(err)
		}
		b.Open()
		want("of the twin", b, 11)
		b.Stop("the test ends")
	})
}

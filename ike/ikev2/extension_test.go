package ikev2_test

import (
	"flag"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/iketest"
	"github.com/warrenvpn/warren/ike/ikev2"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
)

// greeting is an extension of this test: both ends say hello in IKE_SA_INIT and in
// IKE_AUTH, and remember how often they have heard it.
type greeting struct {
	heard uint8
	made  *[]*greeting
	more  record.Unknown
}

// hello is a status type for private use (RFC 7296 section 3.10.1).
const hello wire.NotifyType = 40960

func (g *greeting) Tag() record.Tag { return 100 }

func (g *greeting) Offer(wire.ExchangeType) []wire.Payload {
	return []wire.Payload{wire.Notify{Type: hello}}
}

func (g *greeting) Learn(_ wire.ExchangeType, request bool, ps wire.Payloads) []wire.Payload {
	if _, said := ps.Notify(hello); !said {
		return nil
	}
	g.heard++
	if !request {
		return nil
	}
	return []wire.Payload{wire.Notify{Type: hello}}
}

func (g *greeting) Fields(f *record.Fields) {
	f.Keep(&g.more)
	record.Number(f, 1, &g.heard)
}

func (g *greeting) Inherit() ikev2.Agreement { return note(g.made, g.heard) }

func note(made *[]*greeting, heard uint8) *greeting {
	g := &greeting{heard: heard, made: made}
	*made = append(*made, g)
	return g
}

// TestExtensionFromOutside adds an extension without a change to this package: both
// ends agree on it, a restart brings it back, and successors have it.
func TestExtensionFromOutside(t *testing.T) {
	var made []*greeting
	ikev2.AddExtension(t, ikev2.Extension{Name: "greeting", New: func() ikev2.Agreement { return note(&made, 0) }})
	l := iketest.New(1, iketest.Faults{Delay: 5 * time.Millisecond})
	g, c := l.Pair(nil)
	all := func(when string) {
		t.Helper()
		if !l.Until(time.Minute, func() bool { return iketest.Up(g, c) }) {
			t.Fatalf("%s: not up", when)
		}
		if len(made) < 2 {
			t.Errorf("%s: %d agreements were made", when, len(made))
		}
		for _, m := range made {
			if m.heard != 2 {
				t.Errorf("%s: an end has heard it %d times", when, m.heard)
			}
		}
	}
	all("connected")
	made = nil
	if err := c.Command(exchange.RekeyIKE{SPI: c.Established()[0].Peer.SPI}); err != nil {
		t.Fatal(err)
	}
	l.Run(time.Minute)
	all("rekeyed")
	g.Kill()
	c.Kill()
	made = nil
	for _, n := range []*iketest.Node{g, c} {
		if err := n.Command(exchange.RekeyIKE{SPI: n.Established()[0].Peer.SPI}); err != nil {
			t.Fatal(err)
		}
		l.Run(time.Minute)
	}
	all("killed and rekeyed")
	g.CheckSnapshot()
	for _, x := range l.Trouble {
		t.Error(x)
	}
}

// TestExtensionAsText shows what the ends say with the extension of this test.
func TestExtensionAsText(t *testing.T) {
	var made []*greeting
	ikev2.AddExtension(t, ikev2.Extension{Name: "greeting", New: func() ikev2.Agreement { return note(&made, 0) }})
	iketest.PlayFiles(t, "testdata/scenario/extension.txt", flag.Lookup("update").Value.String() == "true")
}

package iketest

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// TestHandshakeSurvives takes the gateway over, or replaces its worker, between
// IKE_SA_INIT and the end of IKE_AUTH. The client, which repeats IKE_AUTH and
// nothing else, is answered by whoever is there.
func TestHandshakeSurvives(t *testing.T) {
	for _, when := range []string{"IKE_SA_INIT answered", "asking for the session"} {
		for _, how := range []string{"takeover", "new worker"} {
			t.Run(when+", "+how, func(t *testing.T) {
				l := New(5, Faults{Delay: 10 * time.Millisecond})
				inits := 0
				g, c := l.Pair(nil)
				g.Authorise = nil // the question stays open
				l.Spy = func(_ *Node, d exchange.Datagram) {
					if d.Payload[18] == 34 && d.Payload[19]&0x20 == 0 {
						inits++
					}
				}
				state := func() string {
					if s := g.Engine.Status(); len(s) == 1 {
						return s[0].State
					}
					return ""
				}
				want := map[string]string{"IKE_SA_INIT answered": "HALF-OPEN",
					"asking for the session": "AUTHORIZING"}[when]
				if !l.Until(5*time.Second, func() bool { return state() == want }) {
					t.Fatalf("state %s never came", want)
				}
				inits = 0
				if how == "takeover" {
					g.Takeover(2, 0)
				} else {
					g.Kill()
				}
				g.Authorise = Grant
				g.CheckSnapshot()
				l.Run(10 * time.Second)
				if !Up(g, c) || inits > 0 {
					t.Errorf("up: %v, %d more IKE_SA_INIT: %v", Up(g, c), inits, c.Events)
				}
				noTrouble(t, l)
			})
		}
	}
}

// TestHandshakeRecords: a handshake that is over leaves nothing, and under a
// flood there are no records at all.
func TestHandshakeRecords(t *testing.T) {
	l := New(6, Faults{})
	g, _ := l.Pair(func(g, c *exchange.Config) {
		g.CookieThreshold = 5
		c.Entries[0].Initiate = false
	})
	records := func() (n int) {
		g.Engine.Snapshot(func(r exchange.Record) bool {
			if r.Kind == exchange.RecordHalfOpen {
				n++
			}
			return true
		})
		return n
	}
	for i := range 30 {
		NewStranger(g, netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:500", 100+i))).Init()
	}
	if n := records(); n == 0 || n > 5 {
		t.Errorf("%d handshakes are recorded during a flood", n)
	}
	g.Takeover(2, 0)
	if n := records(); n == 0 || n > 5 {
		t.Errorf("%d handshakes after a takeover", n)
	}
	l.Run(2 * time.Minute)
	g.Kill()
	if n := records(); n != 0 {
		t.Errorf("%d handshakes are left", n)
	}
}

// TestHandshakeKeepsWhatIsUnknown: what a newer program has written about a handshake
// is still on record when this one goes on with it.
func TestHandshakeKeepsWhatIsUnknown(t *testing.T) {
	l := New(7, Faults{})
	g, _ := l.Pair(func(_, c *exchange.Config) { c.Entries[0].Initiate = false })
	NewStranger(g, netip.MustParseAddrPort("192.0.2.100:500")).Init()
	newer := func(b []byte) []byte {
		more := uint64(7)
		return record.Append(bytes.Clone(b), func(f *record.Fields) { record.Number(f, 1000, &more) })
	}
	r, err := ike.ParseRecord(g.Journal[len(g.Journal)-1])
	if err != nil || r.Kind != exchange.RecordHalfOpen {
		t.Fatalf("record of kind %d, %v", r.Kind, err)
	}
	r.Body = secret.New(newer(r.Body.Reveal()))
	want := newer(ike.AppendRecord(nil, r))
	g.Journal[len(g.Journal)-1] = want
	g.Takeover(2, 0)
	var got [][]byte
	g.Engine.Snapshot(func(r exchange.Record) bool { got = append(got, ike.AppendRecord(nil, r)); return true })
	if len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Errorf("snapshot\n% x, want\n% x", got, want)
	}
	for _, x := range l.Trouble {
		t.Error(x)
	}
}

package iketest

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// TestRecordSizes prints how many octets the records of a connected client take, which
// are most of what a standby gets for it, and holds them to a bound.
func TestRecordSizes(t *testing.T) {
	l := New(5, Faults{})
	response := 0
	g, c := l.Pair(nil)
	l.Spy = func(from *Node, d exchange.Datagram) {
		if from == g {
			response = len(d.Payload)
		}
	}
	if !l.Until(5*time.Second, func() bool { return Up(g, c) }) {
		t.Fatal("no connection")
	}
	sum := 0
	for r := range g.Engine.Snapshot {
		n := len(ike.AppendRecord(nil, r))
		sum += n
		switch r.Kind {
		case exchange.RecordIKE:
			t.Logf("IKE SA: %d octets, of which %d are the response that may be asked for again", n, response)
		case exchange.RecordChild:
			t.Logf("child SA: %d octets", n)
		}
	}
	for _, b := range g.Journal {
		if r, err := ike.ParseRecord(b); err == nil && r.Kind == exchange.RecordHalfOpen {
			t.Logf("before that, the handshake: %d octets", len(b))
		}
	}
	const most = 800
	if t.Logf("together: %d octets", sum); sum > most {
		t.Errorf("more than %d", most)
	}
}

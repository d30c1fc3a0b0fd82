package ike_test

import (
	"bytes"
	"testing"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/iketest"
)

// journal is what a client writes while it connects and rekeys.
func journal(tb testing.TB) [][]byte {
	l := iketest.New(1, iketest.Faults{})
	g, c := l.Pair(nil)
	if !l.Until(1e9, func() bool { return iketest.Up(g, c) }) {
		tb.Fatal("not up")
	}
	if err := c.Command(exchange.RekeyIKE{SPI: c.Established()[0].Peer.SPI}); err != nil {
		tb.Fatal(err)
	}
	l.Run(1e9)
	return c.Journal
}

func TestParseRecord(t *testing.T) {
	for i, b := range journal(t) {
		r, err := ike.ParseRecord(b)
		if err != nil || !bytes.Equal(ike.AppendRecord(nil, r), b) {
			t.Errorf("record %d: %v, or another encoding", i, err)
		}
	}
	if _, err := ike.ParseRecord(nil); err == nil {
		t.Error("nothing is a record")
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, b := range journal(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ike.ParseRecord(b)
		if err != nil {
			return
		}
		e, err := ike.New(&exchange.Config{})
		if err != nil {
			t.Fatal(err)
		}
		// Whatever was accepted can be replayed, in any state, twice.
		for range 2 {
			if err := e.Replay(iketest.Start, r); err != nil {
				t.Errorf("replay of an accepted record: %v", err)
			}
		}
		e.Snapshot(func(exchange.Record) bool { return true })
	})
}

package ikev2

import (
	"bytes"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// messageOf is a whole message around some data.
func messageOf(data string) []byte {
	return wire.AppendMessage(nil, wire.Header{SPIi: 1, Version: wire.Version2},
		wire.Nonce{Data: []byte("a nonce, and then " + data)})
}

// TestDatagramsOfARecord: one message may be several datagrams, which a record has
// one behind the other.
func TestDatagramsOfARecord(t *testing.T) {
	a, b := messageOf("some data"), messageOf("more data than that")
	for _, m := range []datagrams{nil, {a}, {a, b, a}} {
		got, ok := splitDatagrams(m.join())
		if !ok || !slices.EqualFunc(got, m, bytes.Equal) {
			t.Errorf("%d datagrams: got %d, %v", len(m), len(got), ok)
		}
		var out exchange.Output
		m.send(exchange.Datagram{}, &out)
		if len(out.Send) != len(m) {
			t.Errorf("%d datagrams: %d were sent", len(m), len(out.Send))
		}
	}
	joined := datagrams{a, b}.join()
	for n := range joined {
		if _, ok := splitDatagrams(joined[:n]); ok && n != 0 && n != len(a) {
			t.Errorf("a prefix of %d octets was accepted", n)
		}
	}
	short := slices.Clone(a)
	copy(short[lengthAt:], []byte{0, 0, 0, 0})
	if _, ok := splitDatagrams(short); ok {
		t.Error("a message of no length was accepted")
	}
}

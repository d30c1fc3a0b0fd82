package worker

import (
	"testing"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestInbox: messages of IKE SAs that are here have a queue of their own, which a
// flood of others does not fill.
func TestInbox(t *testing.T) {
	b := newInbox()
	b.note(7, true)
	message := func(spiI, spiR uint64, x wire.ExchangeType, f wire.Flags) exchange.Datagram {
		h := wire.Header{SPIi: spiI, SPIr: spiR, Version: wire.Version2, Exchange: x, Flags: f}
		return exchange.Datagram{Payload: wire.AppendMessage(nil, h)}
	}
	for range strangersSize + 10 {
		b.put(message(1, 0, wire.IKESAInit, wire.FlagInitiator))
	}
	b.put(message(1, 8, wire.Informational, wire.FlagInitiator))
	b.put(message(7, 1, wire.Informational, wire.FlagInitiator)) // 7 is the peer's here
	b.put(exchange.Datagram{Payload: []byte("short")})
	if len(b.known) != 0 || len(b.strangers) != strangersSize {
		t.Fatalf("%d known, %d of strangers", len(b.known), len(b.strangers))
	}
	b.put(message(1, 7, wire.Informational, wire.FlagInitiator))
	b.put(message(7, 1, wire.Informational, wire.FlagResponse))
	if len(b.known) != 2 {
		t.Errorf("%d known, want 2", len(b.known))
	}
	b.note(7, true) // another engine takes over
	b.note(7, false)
	b.put(message(1, 7, wire.Informational, wire.FlagInitiator))
	b.note(7, false)
	b.put(message(1, 7, wire.Informational, wire.FlagInitiator))
	if len(b.known) != 3 || len(b.spis) != 0 {
		t.Errorf("%d known, want 3; SPIs %v", len(b.known), b.spis)
	}
	b.drain()
	if len(b.known)+len(b.strangers) != 0 {
		t.Error("something is left")
	}
}

package worker

import (
	"testing"

	"github.com/warrenvpn/warren/ike"
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

// TestInboxShares: whoever floods with messages of an IKE SA that is here fills its share
// of the queue and no more, so that the others have their turn; when its messages are
// taken, or dropped, it has all of its share again.
func TestInboxShares(t *testing.T) {
	b := newInbox()
	message := func(spi uint64) exchange.Datagram {
		h := wire.Header{SPIi: 1, SPIr: spi, Version: wire.Version2, Exchange: wire.Informational,
			Flags: wire.FlagInitiator}
		return exchange.Datagram{Payload: wire.AppendMessage(nil, h)}
	}
	const hostile, honest = 7, 8
	b.note(hostile, true)
	b.note(honest, true)
	for range 10 * inboxSize {
		b.put(message(hostile))
	}
	b.put(message(honest))
	if n := len(b.known); n != spiShare+1 {
		t.Fatalf("%d messages wait, want the share of one and one of the other", n)
	}
	for range spiShare {
		if spi := ike.OurSPI((<-b.known).open().Payload); spi != hostile {
			t.Fatalf("message for %d before its turn", spi)
		}
	}
	if spi := ike.OurSPI((<-b.known).open().Payload); spi != honest {
		t.Errorf("then a message for %d", spi)
	}
	for range 2 {
		for range inboxSize {
			b.put(message(hostile))
		}
		if n := len(b.known); n != spiShare {
			t.Errorf("%d messages wait, want %d", n, spiShare)
		}
		b.drain()
	}
	for spi := range uint64(100) { // the queue itself is bounded as before
		b.note(1000+spi, true)
		for range spiShare {
			b.put(message(1000 + spi))
		}
	}
	if n := len(b.known); n != inboxSize {
		t.Errorf("%d messages wait, want %d", n, inboxSize)
	}
	b.drain()
	for spi := range uint64(100) {
		if n := b.spis[1000+spi].waiting.Load(); n != 0 {
			t.Errorf("%d messages of %d are thought to wait", n, spi)
		}
	}
}

package worker

import (
	"slices"
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
	if b.backlog() != 0 || len(b.strangers) != strangersSize {
		t.Fatalf("%d known, %d of strangers", b.backlog(), len(b.strangers))
	}
	b.put(message(1, 7, wire.Informational, wire.FlagInitiator))
	b.put(message(7, 1, wire.Informational, wire.FlagResponse))
	if b.backlog() != 2 {
		t.Errorf("%d known, want 2", b.backlog())
	}
	b.note(7, true) // another engine takes over
	b.note(7, false)
	b.put(message(1, 7, wire.Informational, wire.FlagInitiator))
	b.note(7, false)
	b.put(message(1, 7, wire.Informational, wire.FlagInitiator))
	if b.backlog() != 3 || len(b.spis) != 0 {
		t.Errorf("%d known, want 3; SPIs %v", b.backlog(), b.spis)
	}
	b.drain()
	if b.backlog()+len(b.known)+len(b.strangers) != 0 {
		t.Error("something is left")
	}
}

// TestInboxShares: whoever floods with messages of an IKE SA that is here fills its share
// of the queue and no more, and has one message served in each turn, so that the others
// do not wait behind it; when its messages are taken, or dropped, it has all of its share
// again.
func TestInboxShares(t *testing.T) {
	b := newInbox()
	message := func(spi uint64, id uint32) exchange.Datagram {
		h := wire.Header{SPIi: 1, SPIr: spi, Version: wire.Version2, Exchange: wire.Informational,
			Flags: wire.FlagInitiator, MessageID: id}
		return exchange.Datagram{Payload: wire.AppendMessage(nil, h)}
	}
	const hostile, honest = 7, 8
	flood := 0 // messages of one that are taken where no others wait
	for flood < spiShare && flood < (inboxSize-flood)/freeShares {
		flood++
	}
	b.note(hostile, true)
	b.note(honest, true)
	for id := range uint32(10 * inboxSize) {
		b.put(message(hostile, id))
	}
	b.put(message(honest, 0))
	b.put(message(honest, 1))
	if n := b.backlog(); n != flood+2 {
		t.Fatalf("%d messages wait, want the share of one and two of the other", n)
	}
	var order []uint64
	ids := map[uint64]uint32{}
	for b.backlog() > 0 {
		h, err := wire.ParseHeader(b.next(<-b.known).Payload)
		if err != nil || h.MessageID != ids[h.SPIr] {
			t.Fatalf("message %d of %d, want %d: %v", h.MessageID, h.SPIr, ids[h.SPIr], err)
		}
		ids[h.SPIr]++
		order = append(order, h.SPIr)
	}
	want := []uint64{hostile, honest, hostile, honest, hostile}
	if !slices.Equal(order[:5], want) || len(order) != flood+2 {
		t.Errorf("the turns of %d messages begin %v, want %v", len(order), order[:5], want)
	}
	for range 2 {
		for range inboxSize {
			b.put(message(hostile, 0))
		}
		if n := b.backlog(); n != flood {
			t.Errorf("%d messages wait, want %d", n, flood)
		}
		b.drain()
	}
}

// TestInboxIsBounded: dozens of IKE SAs that flood leave room for a message of one more;
// all together they have no more than the queue holds.
func TestInboxIsBounded(t *testing.T) {
	b := newInbox()
	message := func(spi uint64) exchange.Datagram {
		h := wire.Header{SPIi: 1, SPIr: spi, Version: wire.Version2, Exchange: wire.Informational,
			Flags: wire.FlagInitiator}
		return exchange.Datagram{Payload: wire.AppendMessage(nil, h)}
	}
	for spi := range uint64(2 * inboxSize) {
		b.note(1000+spi, true)
		before := b.backlog()
		for range 2 * spiShare {
			b.put(message(1000 + spi))
		}
		if spi < spiShare && b.backlog() == before {
			t.Fatalf("%d IKE SAs leave no room for another one", spi)
		}
	}
	if n := b.backlog(); n != inboxSize {
		t.Errorf("%d messages wait, want %d", n, inboxSize)
	}
	b.drain()
	if n := b.backlog() + len(b.known); n != 0 {
		t.Errorf("%d are left", n)
	}
	for spi, p := range b.spis {
		if len(p.messages) != 0 {
			t.Errorf("%d messages of %d are left", len(p.messages), spi)
		}
	}
}

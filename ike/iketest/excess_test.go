package iketest

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// floods are what an authentic client can ask for without end. Each sends one message
// more, and says whether the gateway has taken up a request.
var floods = []struct {
	name string
	next func(h *Hostile, i int) bool
}{
	{"liveness", func(h *Hostile, _ int) bool { return h.peer.Ask(wire.Informational) != nil }},
	{"DELETE of what there is not", func(h *Hostile, i int) bool {
		return h.peer.Ask(wire.Informational, deleteESP(sa.SPI(0x70000+i))) != nil
	}},
	{"new child SAs", func(h *Hostile, i int) bool {
		return h.peer.Ask(wire.CreateChildSA, newChildPayloads(0, sa.SPI(0x10000+i))...) != nil
	}},
	{"child SAs made and deleted", func(h *Hostile, i int) bool {
		if i%2 == 0 {
			return h.peer.Ask(wire.CreateChildSA, newChildPayloads(0, sa.SPI(0x10000+i))...) != nil
		}
		return h.peer.Ask(wire.Informational, deleteESP(sa.SPI(0x10000+i-1))) != nil
	}},
	{"rekeyings of what there is not", func(h *Hostile, i int) bool {
		return h.peer.Ask(wire.CreateChildSA, newChildPayloads(0x70000, sa.SPI(0x10000+i))...) != nil
	}},
	{"rekeyings of the IKE SA", func(h *Hostile, _ int) bool {
		next, err := h.peer.RekeyIKE(IKEProposal)
		if err == nil {
			h.peer = next
		}
		return err == nil || err.Error() != "iketest: no answer"
	}},
	{"moves", func(h *Hostile, i int) bool {
		at := h.peer.Addr
		h.peer.Addr = v4(i % 64)
		taken := h.peer.Ask(wire.Informational, wire.Notify{Type: wire.UpdateSAAddresses}) != nil
		if !taken {
			h.peer.Addr = at
		}
		return taken
	}},
	{"large messages", func(h *Hostile, _ int) bool {
		return h.peer.Ask(wire.Informational, wire.Notify{Type: 40000, Data: make([]byte, 30_000)}) != nil
	}},
	{"whole messages in fragments", func(h *Hostile, i int) bool {
		text := wire.AppendPayloads(nil, wire.Notify{Type: 40000, Data: make([]byte, 2000)})
		const total = 4
		n, part := i%total, len(text)/total+1
		b := h.peer.Fragment(wire.Informational, h.peer.next, wire.TypeNotify, n+1, total,
			text[n*part:min((n+1)*part, len(text))])
		before := len(h.node.Errors)
		sent := h.peer.Send(b)
		if len(sent) > 0 {
			h.peer.next++
		}
		return len(h.node.Errors) == before
	}},
	{"messages begun in more and more fragments", func(h *Hostile, i int) bool {
		before := len(h.node.Errors)
		h.peer.Send(h.peer.Fragment(wire.Informational, h.peer.next, wire.TypeNotify, 1, 2+i%200, make([]byte, 100)))
		return len(h.node.Errors) == before
	}},
}

// TestFloodsOfAnAuthenticClient: whatever a client that was let in asks for without end,
// the gateway takes up a bounded number of requests, writes down a bounded number of
// records of a bounded size, and does not look at the rest; the flood has its own client
// wait, and another one rekeys beside it as ever. What is left is the client's when it is
// patient, also at the gateway's successor.
func TestFloodsOfAnAuthenticClient(t *testing.T) {
	const (
		perSecond, seconds = 200, 30
		// What requestsRate allows in that time: the worker is killed once.
		mostRequests = 2*256 + 20*seconds
		// A record of the window and one of a child SA, one each when that goes.
		mostRecords = 4 * mostRequests
		mostOctets  = 1500 * mostRequests
	)
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			l := New(41, Faults{Delay: 5 * time.Millisecond})
			g, c := l.Pair(nil)
			if !l.Until(time.Second, func() bool { return Up(g, c) }) {
				t.Fatal("not up")
			}
			h := NewHostile(g, strangerAddr, 1)
			for h.peer == nil {
				h.connect()
			}
			l.Run(time.Second)
			taken, rekeyed, records := 0, 0, len(g.Journal)
			for i := range perSecond * seconds {
				if tt.next(h, i) {
					taken++
				}
				if i == perSecond*seconds/2 {
					g.Kill()
				}
				if i%(10*perSecond) == 0 {
					rekey(c, "gw.example", true)
				}
				l.Run(time.Second / perSecond)
			}
			octets := 0
			for _, b := range g.Journal[records:] {
				octets += len(b)
			}
			rekeyed = tally[exchange.IKERekeyed](c.Events)
			if n := len(g.Journal) - records; taken > mostRequests || n > mostRecords || octets > mostOctets {
				t.Errorf("%d requests are taken up, %d records of %d octets are written", taken, n, octets)
			}
			if rekeyed != 3 || !Up(g, c) {
				t.Errorf("the other client has rekeyed %d times, up: %v", rekeyed, Up(g, c))
			}
			unread := 0
			for _, e := range g.Errors {
				if errors.Is(e, exchange.ErrExcess) || errors.Is(e, exchange.ErrStale) {
					unread++
				}
			}
			if unread < perSecond*seconds-mostRequests-100 {
				t.Errorf("%d of %d messages are not looked at", unread, perSecond*seconds)
			}
			l.Run(20 * time.Second)
			if h.peer.Ask(wire.Informational) == nil && tt.name[:8] != "messages" {
				t.Errorf("who was patient is not served: %v", g.Errors[len(g.Errors)-1])
			}
			noTrouble(t, l)
		})
	}
}

// TestExcessIsNotLookedAt: of a client that has used up what it may have not even the
// checksum of the next request is looked at; `show` says how many those were. Answers to
// what the gateway asks, and what others send again, do not count.
func TestExcessIsNotLookedAt(t *testing.T) {
	l, g, f := met(t, nil)
	old := f.Seal(wire.Informational, f.next)
	f.Send(old)
	f.next++
	f.Ask(wire.Informational)
	for range 10_000 { // by somebody who has seen it
		f.Send(old)
	}
	if f.Ask(wire.Informational) == nil {
		t.Fatal("old messages of the peer, which anybody can send, have used up what it has")
	}
	for range 300 {
		if f.Ask(wire.Informational) == nil {
			break
		}
	}
	last := func() error { return g.Errors[len(g.Errors)-1] }
	forged := f.Seal(wire.Informational, f.next)
	forged[len(forged)-1] ^= 1
	if f.Send(forged); !errors.Is(last(), exchange.ErrExcess) {
		t.Errorf("the request after the last one: %v", last())
	}
	if n := g.Established()[0].Excess; n != 2 {
		t.Errorf("%d requests too many are shown, want 2", n)
	}
	if err := g.Command(exchange.RekeyChild{ID: only(t, g).ID}); err != nil {
		t.Fatal(err)
	}
	f.AcceptChild(0x4000)
	if _, ps := f.Last(); ps.Count(wire.TypeDelete) != 1 || len(g.Plane) != 2 {
		t.Errorf("the gateway's own exchange has not gone on: %v", ps)
	}
	before := len(g.Errors)
	moved := f.Addr
	for port := range uint16(1000) { // which ESP shows
		g.Command(exchange.PeerMoved{ID: g.Established()[0].Children[0].ID,
			Remote: netip.AddrPortFrom(moved.Addr(), 2000+port)})
	}
	if n := tally[exchange.Moved](g.Events); n > 0 {
		t.Errorf("%d moves of a client that has nothing left, %v", n, g.Errors[before:])
	}
	l.Run(time.Second)
	if f.Ask(wire.Informational) == nil {
		t.Errorf("a second later: %v", last())
	}
}

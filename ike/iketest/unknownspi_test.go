package iketest

import (
	"errors"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/wire"
)

// TestUnknownIKESPI: a request for an SA that is not here is answered with
// INVALID_IKE_SPI, in clear and under its own SPIs and message ID (RFC 7296 section
// 1.5); a response, what is not protected, and what is shorter than the answer are not. A
// flood of them is answered ten times in a second.
func TestUnknownIKESPI(t *testing.T) {
	l, g, f := met(t, nil)
	request := f.Seal(wire.Informational, 7)
	g.Journal = nil
	clear(g.Plane)
	g.Kill()
	sent := f.Send(request)
	last := g.Errors[len(g.Errors)-1]
	if len(sent) != 1 || len(sent[0]) > len(request) || !errors.Is(last, ike.ErrUnknown) {
		t.Fatalf("answered with %v, error %v", sent, last)
	}
	m, err := wire.ParseMessage(sent[0])
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := m.Payloads.Notify(wire.InvalidIKESPI); !ok || !m.Response() || m.Initiator() || m.MessageID != 7 ||
		m.Exchange != wire.Informational || m.SPIi != f.SPI || m.SPIr != f.Peer || len(n.SPI)+len(n.Data) > 0 {
		t.Errorf("answered with %+v", m)
	}
	response, clear := f.Header(wire.Informational, 7), f.Header(wire.Informational, 7)
	response.Flags |= wire.FlagResponse
	for what, b := range map[string][]byte{
		"a response":   wire.AppendMessage(nil, response, wire.Notify{Type: wire.InvalidIKESPI}),
		"in clear":     wire.AppendMessage(nil, clear, wire.Nonce{Data: make([]byte, 32)}),
		"an empty one": wire.AppendMessage(nil, clear),
	} {
		if got := f.Send(b); len(got) != 0 {
			t.Errorf("%s: answered with %v", what, got)
		}
	}
	l.Run(time.Minute)
	answered := 0
	for range 100 {
		answered += len(f.Send(request))
	}
	l.Run(time.Second)
	for range 100 {
		answered += len(f.Send(request))
	}
	if answered != 20 {
		t.Errorf("%d of 200 requests within a second were answered", answered)
	}
}

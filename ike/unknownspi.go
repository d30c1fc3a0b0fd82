package ike

import (
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// unknownRate is how many requests for SAs that are not here are answered in a second.
// Whoever has lost us asks about once in a second, and any of the answers will do.
const unknownRate = 10

// unknownSPI says INVALID_IKE_SPI to who asks for an IKE SA that is not here, as after a
// restart of the host (RFC 7296 section 1.5). Nobody can prove it, so that it is no more
// than a hint. It goes where the request came from, which anybody may forge: it is not
// longer than that, and there are few.
func (e *Engine) unknownSPI(now time.Time, h *wire.Header, d *exchange.Datagram, out *exchange.Output) {
	if h.Response() || h.NextPayload != wire.TypeSK && h.NextPayload != wire.TypeSKF {
		return
	}
	answer := wire.ClearResponse(h, wire.Notify{Type: wire.InvalidIKESPI})
	if len(answer) > len(d.Payload) || !e.unknown.Take(now, 1) {
		return
	}
	out.Send = append(out.Send, exchange.Datagram{Local: d.Local, Remote: d.Remote, Payload: answer})
}

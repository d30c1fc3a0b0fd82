package ike

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// Why a datagram changed nothing, or a Command was not obeyed. Receive returns
// the errors of packages wire and ikev2, too.
var (
	// ErrUnknown is a message for, or a command about, an SA that does not exist.
	ErrUnknown = errors.New("ike: no such SA")
	// ErrVersion is a message of another version of IKE.
	ErrVersion = errors.New("ike: version is not spoken")
	// ErrBusy is an IKE_SA_INIT request for which no other half-open SA can give
	// way: all that there may be wait for the answer to a question.
	ErrBusy = errors.New("ike: too many half-open SAs")
	// ErrPaced is an IKE_SA_INIT request beyond the rate of set-ups.
	ErrPaced = errors.New("ike: too many set-ups within a second")
	// ErrCookie is an IKE_SA_INIT request that was answered with a cookie.
	ErrCookie = errors.New("ike: cookie is asked for")
	// ErrSilent is any message before Activate.
	ErrSilent = errors.New("ike: engine is not active")
)

// OurSPI returns the SPI by which a message from the network names an IKE SA of
// ours; 0: it names none, as the first message of a stranger. Nothing of the
// message is authentic.
func OurSPI(message []byte) uint64 {
	h, err := wire.ParseHeader(message)
	switch {
	case err != nil:
		return 0
	case h.Initiator():
		return h.SPIr
	}
	return h.SPIi
}

// Receive takes one IKE message from the network.
func (e *Engine) Receive(now time.Time, d exchange.Datagram, out *exchange.Output) error {
	if !e.active {
		return ErrSilent
	}
	e.clearBuried(now)
	defer e.reindex(now)
	return e.guard(now, out, func() error { return e.receive(now, d, out) })
}

// receive takes the message to its SA.
func (e *Engine) receive(now time.Time, d exchange.Datagram, out *exchange.Output) error {
	for s := e.halfOpen.refused(); s != nil; s = e.halfOpen.refused() {
		e.giveWay(now, s, "", out)
		e.reindex(now)
	}
	h, err := wire.ParseHeader(d.Payload)
	if err != nil {
		return err
	}
	if h.Version.Major() != wire.Version2.Major() {
		return e.otherVersion(&h, &d, out)
	}
	if o, ok := e.openings[h.Exchange]; ok && !h.Response() {
		return e.receiveFirst(now, &o, &h, d, out)
	}
	spi := h.SPIi
	if h.Initiator() {
		spi = h.SPIr
	}
	s := e.sas[spi]
	if s == nil {
		e.unknownSPI(now, &h, &d, out)
		return ErrUnknown
	}
	e.touch(s)
	err = s.Receive(now, d, out)
	if errors.Is(err, exchange.ErrForged) {
		e.usage.Garbled++
	}
	return err
}

// otherVersion refuses later versions with INVALID_MAJOR_VERSION (RFC 7296
// section 2.5), if the message is long enough that the answer is not longer, and
// IKEv1 with silence: it would not understand.
func (e *Engine) otherVersion(h *wire.Header, d *exchange.Datagram, out *exchange.Output) error {
	if h.Version.Major() < wire.Version2.Major() {
		if h.SPIr == 0 { // a cookie of the responder is in all but the first (RFC 2408 section 3.1)
			e.usage.OldVersion++
		}
		return ErrVersion
	}
	if h.Response() {
		return ErrVersion
	}
	n := (&wire.Error{Notify: wire.InvalidMajorVersion}).Response()
	if b := wire.ClearResponse(h, n); len(b) <= len(d.Payload) {
		out.Send = append(out.Send, exchange.Datagram{Local: d.Local, Remote: d.Remote, Payload: b})
	}
	return ErrVersion
}

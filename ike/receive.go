package ike

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/ikev2"
	"github.com/warrenvpn/warren/ike/wire"
)

// Why a datagram changed nothing, or a Command was not obeyed. Receive returns
// the errors of packages wire and ikev2, too.
var (
	// ErrUnknown is a message for, or a command about, an SA that does not exist.
	ErrUnknown = errors.New("ike: no such SA")
	// ErrVersion is a message of another version of IKE.
	ErrVersion = errors.New("ike: version is not spoken")
	// ErrBusy is an IKE_SA_INIT request beyond the limit of half-open SAs.
	ErrBusy = errors.New("ike: too many half-open SAs")
	// ErrPaced is an IKE_SA_INIT request beyond the rate of set-ups.
	ErrPaced = errors.New("ike: too many set-ups within a second")
	// ErrCookie is an IKE_SA_INIT request that was answered with a cookie.
	ErrCookie = errors.New("ike: cookie is asked for")
	// ErrSilent is any message before Activate.
	ErrSilent = errors.New("ike: engine is not active")
)

// Receive takes one IKE message from the network.
func (e *Engine) Receive(now time.Time, d Datagram, out *Output) error {
	if !e.active {
		return ErrSilent
	}
	e.begin(now)
	defer e.settle(now)
	return e.guard(now, out, func() error { return e.receive(now, d, out) })
}

// receive takes the message to its SA.
func (e *Engine) receive(now time.Time, d Datagram, out *Output) error {
	h, err := wire.ParseHeader(d.Payload)
	if err != nil {
		return err
	}
	if h.Version.Major() != wire.Version2.Major() {
		return e.otherVersion(&h, &d, out)
	}
	if h.Exchange == wire.IKESAInit && !h.Response() {
		return e.receiveInit(now, d, out)
	}
	spi := h.SPIi
	if h.Initiator() {
		spi = h.SPIr
	}
	s := e.sas[spi]
	if s == nil {
		return ErrUnknown
	}
	m, err := wire.ParseMessage(d.Payload)
	if err != nil {
		return err
	}
	e.touch(s)
	if err := s.Receive(now, d, &m, out); err != nil {
		if errors.Is(err, ikev2.ErrForged) {
			e.usage.Garbled++
		}
		return err
	}
	return nil
}

// otherVersion refuses later versions with INVALID_MAJOR_VERSION (RFC 7296
// section 2.5), if the message is long enough that the answer is not longer, and
// IKEv1 with silence: it would not understand.
func (e *Engine) otherVersion(h *wire.Header, d *Datagram, out *Output) error {
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
	if b := ikev2.ClearResponse(h, n); len(b) <= len(d.Payload) {
		out.Send = append(out.Send, Datagram{Local: d.Local, Remote: d.Remote, Payload: b})
	}
	return ErrVersion
}

// receiveInit takes the first message of a stranger. In this order: a repeat is
// answered from what is kept; the message is parsed; the limits; the cookie; and
// only then anything that costs (RFC 7296 section 2.6).
func (e *Engine) receiveInit(now time.Time, d Datagram, out *Output) error {
	m, err := wire.ParseMessage(d.Payload)
	if m.SPIi == 0 || m.SPIr != 0 || !m.Initiator() || m.MessageID != 0 {
		return ikev2.ErrMalformed
	}
	if s := e.halfOpen.byKey[halfOpenKey{m.SPIi, d.Remote}]; s != nil {
		if !s.RepeatInit(d, out) {
			return ikev2.ErrStale
		}
		return nil
	}
	answer := func(b []byte) { // never longer than the question
		if len(b) <= len(d.Payload) {
			out.Send = append(out.Send, Datagram{Local: d.Local, Remote: d.Remote, Payload: b})
		}
	}
	if err != nil {
		var we *wire.Error
		if errors.As(err, &we) && we.Notify == wire.UnsupportedCriticalPayload {
			answer(ikev2.ClearResponse(&m.Header, we.Response()))
		}
		return err
	}
	if e.halfOpen.full(e.rules.MaxHalfOpen, d.Remote.Addr()) {
		e.usage.Busy++
		return ErrBusy
	}
	if e.pressed(now) && !e.cookies.valid(host{e}, now, &d, &m) {
		if m.Payloads.Count(wire.TypeNonce) != 1 {
			return ikev2.ErrMalformed
		}
		c := e.cookies.cookie(host{e}, now, &d, &m)
		answer(ikev2.ClearResponse(&m.Header, wire.Notify{Type: wire.Cookie, Data: c}))
		return ErrCookie
	}
	if !e.setups.Take(now, 1) {
		e.usage.Paced++
		return ErrPaced
	}
	e.usage.Begun++
	// Under a flood nobody else hears of handshakes: see ikev2's halfopen.go.
	few := len(e.halfOpen.keys) < e.rules.CookieThreshold
	s, err := ikev2.NewResponder(host{e}, now, d, &m, few, out)
	if err != nil {
		if n, reason, ok := ikev2.InitRefusal(err); ok {
			answer(ikev2.ClearResponse(&m.Header, n))
			out.Events = append(out.Events, Refused{
				Peer: Peer{Local: d.Local, Remote: d.Remote}, Notify: n.Type.String(), Reason: reason,
			})
		}
		return err
	}
	e.add(s)
	return nil
}

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
	for s := e.halfOpen.refused(); s != nil; s = e.halfOpen.refused() {
		e.giveWay(now, s, "", out)
		e.settle(now)
	}
	h, err := wire.ParseHeader(d.Payload)
	if err != nil {
		return err
	}
	if h.Version.Major() != wire.Version2.Major() {
		return e.otherVersion(&h, &d, out)
	}
	if h.Exchange == wire.IKESAInit && !h.Response() {
		return e.receiveInit(now, &h, d, out)
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

// maxBareInit is the longest IKE_SA_INIT request that is parsed without a cookie,
// in bytes. The longest that peers send is a quarter of it; parsing what fits into
// a datagram takes a millisecond.
const maxBareInit = 5 << 10

// receiveInit takes the first message of a stranger. In this order: a repeat is
// answered from what is kept; the cookie, for which nothing is parsed; the rate;
// the message is parsed; a place is made; and only then anything that costs (RFC
// 7296 section 2.6).
func (e *Engine) receiveInit(now time.Time, h *wire.Header, d Datagram, out *Output) error {
	if h.SPIi == 0 || h.SPIr != 0 || !h.Initiator() || h.MessageID != 0 {
		return ikev2.ErrMalformed
	}
	if s := e.halfOpen.byKey[halfOpenKey{h.SPIi, d.Remote}]; s != nil {
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
	if e.pressed(now) || e.halfOpen.atQuota(e.rules.MaxHalfOpen, d.Remote.Addr()) || len(d.Payload) > maxBareInit {
		if err := e.prove(now, h, &d, answer); err != nil {
			return err
		}
	}
	m, err := wire.ParseMessage(d.Payload)
	if err != nil {
		var we *wire.Error
		if errors.As(err, &we) && we.Notify == wire.UnsupportedCriticalPayload {
			answer(ikev2.ClearResponse(h, we.Response()))
		}
		return err
	}
	victim, ok := e.halfOpen.victim(e.rules.MaxHalfOpen, d.Remote.Addr())
	if !ok {
		e.usage.Busy++
		return ErrBusy
	}
	if !e.setups.Take(now, 1) {
		e.usage.Paced++
		return ErrPaced
	}
	e.usage.Begun++
	// Under a flood nobody else hears of handshakes: see ikev2's halfopen.go.
	few := e.halfOpen.count() < e.rules.CookieThreshold
	s, err := ikev2.NewResponder(host{e}, now, d, &m, few, out)
	if err != nil {
		if n, reason, ok := ikev2.InitRefusal(err); ok {
			answer(ikev2.ClearResponse(h, n))
			out.Events = append(out.Events, Refused{
				Peer: Peer{Local: d.Local, Remote: d.Remote}, Notify: n.Type.String(), Reason: reason,
			})
		}
		return err
	}
	if victim != nil {
		e.usage.Busy++
		e.giveWay(now, victim, "gave way to a newer half-open SA", out)
		e.settle(now)
	}
	e.add(s)
	return nil
}

// prove wants the cookie of a request's sender (RFC 7296 section 2.6), and answers
// with it whoever has not brought it.
func (e *Engine) prove(now time.Time, h *wire.Header, d *Datagram, answer func([]byte)) error {
	p, ok := scanInit(h, d)
	if !ok {
		return ikev2.ErrMalformed
	}
	if e.cookies.valid(host{e}, now, &p) {
		return nil
	}
	c := e.cookies.cookie(host{e}, now, &p)
	answer(ikev2.ClearResponse(h, wire.Notify{Type: wire.Cookie, Data: c}))
	return ErrCookie
}

// giveWay ends a half-open SA without a word to its peer.
func (e *Engine) giveWay(now time.Time, s *ikev2.SA, reason string, out *Output) {
	e.touch(s)
	s.End(now, reason, out)
}

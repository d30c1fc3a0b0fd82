package ike

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// opening is a first exchange: one by which a peer begins an IKE SA. To add one,
// give it a line in New.
type opening struct {
	// parse reads the first message.
	parse func(exchange.Datagram) (exchange.First, error)
	// prove wants from a sender, before anything of the message is parsed, that he is
	// where he says; answer sends what asks for it.
	prove func(now time.Time, h *wire.Header, d *exchange.Datagram, answer func([]byte)) error
}

// maxBareFirst is the longest first message that is parsed without a cookie,
// in bytes. The longest that peers send is a quarter of it; parsing what fits into
// a datagram takes a millisecond.
const maxBareFirst = 5 << 10

// receiveFirst takes the first message of a stranger. In this order: a repeat is
// answered from what is kept; the cookie, for which nothing is parsed; the rate;
// the message is parsed; a place is made; and only then anything that costs (RFC
// 7296 section 2.6).
func (e *Engine) receiveFirst(now time.Time, o *opening, h *wire.Header, d exchange.Datagram,
	out *exchange.Output) error {
	if h.SPIi == 0 || h.SPIr != 0 || !h.Initiator() || h.MessageID != 0 {
		return exchange.ErrMalformed
	}
	if s := e.halfOpen.byKey[halfOpenKey{h.SPIi, d.Remote}]; s != nil {
		if !s.RepeatFirst(d, out) {
			return exchange.ErrStale
		}
		return nil
	}
	answer := func(b []byte) { // never longer than the question
		if len(b) <= len(d.Payload) {
			out.Send = append(out.Send, exchange.Datagram{Local: d.Local, Remote: d.Remote, Payload: b})
		}
	}
	if e.pressed(now) || e.halfOpen.atQuota(e.cfg.MaxHalfOpen, d.Remote.Addr()) || len(d.Payload) > maxBareFirst {
		if err := o.prove(now, h, &d, answer); err != nil {
			return err
		}
	}
	first, err := o.parse(d)
	if err != nil {
		rejected(err, &d, answer, out)
		return err
	}
	victim, ok := e.halfOpen.victim(e.cfg.MaxHalfOpen, d.Remote.Addr())
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
	few := e.halfOpen.count() < e.cfg.CookieThreshold
	s, err := first.Respond(now, few, out)
	if err != nil {
		rejected(err, &d, answer, out)
		return err
	}
	if victim != nil {
		e.usage.Busy++
		e.giveWay(now, victim, "gave way to a newer half-open SA", out)
		e.reindex(now)
	}
	e.add(s)
	return nil
}

// rejected tells the sender of a first message, and the driver, what is wrong with
// it, where err says so.
func rejected(err error, d *exchange.Datagram, answer func([]byte), out *exchange.Output) {
	var r *exchange.Rejection
	if !errors.As(err, &r) {
		return
	}
	answer(r.Message)
	if r.Reason != "" {
		out.Events = append(out.Events, exchange.Refused{
			Peer: exchange.Peer{Local: d.Local, Remote: d.Remote}, Notify: r.Notify, Reason: r.Reason,
		})
	}
}

// proveCookie wants the cookie of a request's sender (RFC 7296 section 2.6), and answers
// with it whoever has not brought it.
func (e *Engine) proveCookie(now time.Time, h *wire.Header, d *exchange.Datagram, answer func([]byte)) error {
	p, ok := scanInit(h, d)
	if !ok {
		return exchange.ErrMalformed
	}
	if e.cookies.valid(host{e}, now, &p) {
		return nil
	}
	c := e.cookies.cookie(host{e}, now, &p)
	answer(wire.ClearResponse(h, wire.Notify{Type: wire.Cookie, Data: c}))
	return ErrCookie
}

// giveWay ends a half-open SA without a word to its peer.
func (e *Engine) giveWay(now time.Time, s exchange.SA, reason string, out *exchange.Output) {
	e.touch(s)
	s.End(now, reason, out)
}

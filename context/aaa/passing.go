package aaa

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/aaa/radius"
)

// passing is a conversation whose messages pass through to a server and back.
type passing struct {
	servers    *Servers
	identity   string
	group      string            // tunnel group
	attributes radius.Attributes // of every request
	unfit      error             // why they cannot be sent; nil: they can

	// Of the goroutine of Servers.Run.
	state  []byte        // what the server wants to hear again
	place  *radius.Place // where the conversation takes place; nil: it begins
	ticket radius.Ticket // of the request that is on its way; 0: none
	gone   bool          // nobody waits any more
}

// Next implements Conversation.
func (c *passing) Next(_ time.Time, message []byte, done func(Answer)) {
	c.servers.put(func(a *asking, now time.Time) { a.ask(now, c, message, done) })
}

// Abandon implements Conversation.
func (c *passing) Abandon() {
	c.servers.put(func(a *asking, now time.Time) {
		c.gone = true
		delete(a.waiting, c.ticket)
		a.client.Cancel(now, c.ticket, &a.out)
	})
}

// ask asks a server what to answer the client.
func (a *asking) ask(now time.Time, c *passing, message []byte, done func(Answer)) {
	switch {
	case c.gone:
		return
	case len(message) < eapHeader:
		done(failed(0, "the client's EAP message is truncated"))
		return
	case c.unfit != nil:
		done(failed(message[1], "no request can be made of it: "+c.unfit.Error()))
		return
	}
	a.last++
	c.ticket = a.last
	a.waiting[c.ticket] = wait{c, message[1], done}
	r := &radius.Request{Attributes: c.attributes, State: c.state, EAP: message}
	a.client.Send(now, c.ticket, r, c.place, &a.out)
}

// finish answers the client of a request that has ended.
func (a *asking) finish(d radius.Done) {
	w, ok := a.waiting[d.Ticket]
	if !ok { // abandoned
		d.MSK.Clear()
		return
	}
	delete(a.waiting, d.Ticket)
	w.passing.ticket = 0
	w.done(a.answer(w, d))
}

// answer is what the client is told.
func (a *asking) answer(w wait, d radius.Done) Answer {
	server := a.servers.cfg.Group.Servers[d.Server].Endpoint()
	if d.Err != nil {
		return failed(w.eap, reasonOf(server, d.Err))
	}
	eap, carried := d.Packet.Attributes.Join(radius.TypeEAPMessage)
	switch d.Packet.Code {
	case radius.AccessChallenge:
		request, ok := eapPacket(eap, eapRequest)
		if !ok {
			return failed(w.eap, fmt.Sprintf("server %s sends an Access-Challenge without an EAP request", server))
		}
		c := w.passing
		c.place = &d.Place
		state, _ := d.Packet.Attributes.Find(radius.TypeState)
		c.state = append([]byte(nil), state...)
		return Answer{Outcome: More, Message: request}
	case radius.AccessAccept:
		success, ok := eapPacket(eap, eapSuccess)
		switch {
		case !carried:
			success = []byte{eapSuccess, w.eap, 0, eapHeader}
		case !ok: // RFC 3579 section 2.6.3: what the client hears counts
			d.MSK.Clear()
			return failed(w.eap,
				fmt.Sprintf("server %s sends an Access-Accept whose EAP message is no Success", server))
		}
		return a.accepted(w, d, server, success)
	}
	return refused(w, d, server, eap, carried)
}

// refused is the answer to a client that the server does not let in.
func refused(w wait, d radius.Done, server netip.AddrPort, eap []byte, carried bool) Answer {
	if !carried { // FreeRADIUS: a State that it does not know, or knows no more
		return failed(w.eap, fmt.Sprintf("server %s has lost the conversation: it was restarted, or asked too late",
			server))
	}
	out := failed(w.eap, fmt.Sprintf("server %s refuses %q", server, w.passing.identity))
	if failure, ok := eapPacket(eap, eapFailure); ok {
		out.Message = failure
	}
	if text, ok := d.Packet.Attributes.Join(radius.TypeReplyMessage); ok {
		out.Reason += fmt.Sprintf(": %q", text)
	}
	return out
}

// accepted is the answer to a client that the server lets in, where what it says about the
// session can be understood.
func (a *asking) accepted(w wait, d radius.Done, server netip.AddrPort, success []byte) Answer {
	grant, err := radius.ParseGrant(d.Packet.Attributes)
	if err != nil {
		d.MSK.Clear()
		return failed(w.eap, fmt.Sprintf("what server %s says about the session cannot be used: %s", server, err))
	}
	if why := forbids(grant, w.passing.group); why != "" {
		d.MSK.Clear()
		return failed(w.eap, fmt.Sprintf("server %s lets %q in, but %s", server, w.passing.identity, why))
	}
	a.tellUnapplied(server, grant)
	out := Answer{Outcome: Accepted, Message: success, MSK: d.MSK, User: grant.User, Attributes: attributesOf(grant)}
	if out.User == "" {
		out.User = w.passing.identity
	}
	return out
}

// reasonOf says why there is no answer that counts. server is who has given one.
func reasonOf(server netip.AddrPort, err error) string {
	var none *radius.NoAnswerError
	switch {
	case errors.As(err, &none):
		return fmt.Sprintf("server %s %s", none.Server, none.Why)
	case errors.Is(err, radius.ErrBusy):
		return "the servers are too slow: too many logins wait for them"
	case errors.Is(err, radius.ErrUnsigned):
		return fmt.Sprintf("the answer of server %s has no Message-Authenticator: anybody could have made it", server)
	}
	return err.Error()
}

// The EAP packets that a gateway knows (RFC 3748 section 4): their codes, and the size of
// their header, which all of Success and Failure is.
const (
	eapRequest byte = 1
	eapSuccess byte = 3
	eapFailure byte = 4

	eapHeader = 4
)

// eapPacket returns the packet in b, where it has that code.
func eapPacket(b []byte, code byte) ([]byte, bool) {
	if len(b) < eapHeader || b[0] != code {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < eapHeader || n > len(b) {
		return nil, false
	}
	return b[:n], true
}

// failed is the answer that ends a conversation, with an EAP Failure that answers the
// client's message of that identifier.
func failed(identifier byte, reason string) Answer {
	return Answer{Outcome: Rejected, Message: []byte{eapFailure, identifier, 0, eapHeader}, Reason: reason}
}

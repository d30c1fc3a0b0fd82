package ikev2

import (
	"container/list"
	"errors"
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// partial is a message of the peer that has not come whole yet (RFC 7383 section
// 2.6). Everything in it is authentic. It is on no record: a peer without an answer
// sends all fragments again, and whoever serves then begins anew.
type partial struct {
	sa       *SA
	response bool
	id       uint32
	exchange wire.ExchangeType
	first    wire.PayloadType // the first payload inside; known with fragment 1
	parts    [][]byte         // the plaintext of each fragment; nil: not here yet
	missing  int
	text     int           // bytes of plaintext
	place    *list.Element // in partials
}

// errPartial says that a fragment was kept, and others are missing.
var errPartial = errors.New("ikev2: other fragments are missing")

// partials are those of all SAs of a Version, the oldest first. Whoever has keys can
// leave messages half-sent, also before it is authentic: so they are bounded
// together, and no number of them keeps a message from being received whose fragments
// come one behind the other.
type partials struct {
	oldest list.List
	size   int
}

// The memory that a partial takes beside its plaintext, in bytes: itself, and each
// fragment that it waits for.
const (
	partialSize  = 256
	fragmentSize = 24
)

// cost returns the memory that p takes, in bytes.
func (p *partial) cost() int { return partialSize + fragmentSize*len(p.parts) + p.text }

// add takes in a new partial.
func (l *partials) add(p *partial) {
	p.place = l.oldest.PushBack(p)
	l.size += p.cost()
}

// remove forgets p.
func (l *partials) remove(p *partial) {
	l.oldest.Remove(p.place)
	l.size -= p.cost()
}

// dropCrowded forgets the oldest while there are too many.
func (v *Version) dropCrowded() {
	for v.partials.size > maxPartials {
		old := v.partials.oldest.Front().Value.(*partial)
		fragments{old.sa}.drop(old.response)
	}
}

// drop forgets what is here of a request, or of a response.
func (g fragments) drop(response bool) {
	if at := g.sa.partialOf(response); *at != nil {
		g.sa.host.partials.remove(*at)
		*at = nil
	}
}

// gather takes one fragment of the message that is awaited, and returns the payloads
// of the whole with the last one. A peer that has learned that its fragments are
// too large sends the message in more of them: then those begin anew, and what is
// still on its way of the others is passed over.
func (g fragments) gather(d exchange.Datagram, m *wire.Message, f wire.SKF) (wire.Payloads, error) {
	s := g.sa
	total, n := int(f.Total), int(f.Number)-1
	p := *s.partialOf(m.Response())
	if p != nil && p.id != m.MessageID {
		p = nil
	}
	switch {
	case p == nil:
	case m.Exchange != p.exchange:
		return nil, exchange.ErrMalformed
	case total < len(p.parts), total == len(p.parts) && p.parts[n] != nil:
		return nil, exchange.ErrStale
	}
	text, err := s.unseal(s.opener, d, f.Offset)
	if err != nil {
		return nil, err
	}
	if p == nil || total > len(p.parts) {
		g.drop(m.Response())
		p = &partial{sa: s, response: m.Response(), id: m.MessageID, exchange: m.Exchange,
			parts: make([][]byte, total), missing: total}
		*s.partialOf(p.response) = p
		s.host.partials.add(p)
	}
	if p.text+len(text) > wire.MaxMessage {
		g.drop(p.response)
		return nil, &wire.Error{Notify: wire.InvalidSyntax, Payload: wire.TypeSKF, Text: "message is too long"}
	}
	p.keep(n, f.First, text)
	if p.missing == 0 {
		g.drop(p.response)
		return wire.ParsePayloads(p.first, slices.Concat(p.parts...))
	}
	s.host.dropCrowded()
	return nil, errPartial
}

// keep takes in the plaintext of fragment n, from 0.
func (p *partial) keep(n int, first wire.PayloadType, text []byte) {
	if n == 0 {
		p.first = first
	}
	if text == nil {
		text = []byte{}
	}
	p.parts[n] = text
	p.missing--
	p.text += len(text)
	p.sa.host.partials.size += len(text)
}

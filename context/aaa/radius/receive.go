package radius

import (
	"errors"
	"time"
)

// Receive takes what came from a server on one of the sockets to it. b may be anything,
// and belongs to the caller.
func (c *Client) Receive(now time.Time, at Place, b []byte, out *Output) {
	s := c.servers[at.Server]
	if len(b) < headerSize {
		s.stats.Malformed++
		return
	}
	q := s.sockets[at.Socket].slots[b[1]]
	if q == nil {
		s.stats.Late++
		return
	}
	p, err := q.call.verify(b, s.config.Lenient)
	switch {
	case err == nil:
	case errors.Is(err, errForged): // may be anybody's: the request goes on, and its end tells of it
		s.stats.Forged++
		q.why = Forged
		return
	case errors.Is(err, errUnsigned):
		s.stats.Unsigned++
		c.live(now, s, out)
		s.tell(now, out, Unsigned)
		c.finish(now, q, Done{Place: at, Err: ErrUnsigned}, out)
		return
	default:
		s.stats.Malformed++
		return
	}
	c.live(now, s, out)
	d := Done{Place: at, Packet: &p}
	switch p.Code {
	case AccessAccept:
		s.stats.Accepts++
		if d.MSK, err = q.call.msk(p.Attributes); err != nil {
			d.Packet, d.Err = nil, err
		}
	case AccessReject:
		s.stats.Rejects++
	case AccessChallenge:
		s.stats.Challenges++
	}
	c.finish(now, q, d, out)
}

// Refused says why nothing is heard on a socket: Closed, by the word of the server's host
// or of somebody who feigns that, or Unreachable, by our own. No request ends by it: those
// that are outstanding there are not sent again, and when their wait is over the next
// server is asked.
func (c *Client) Refused(at Place, why Silence) {
	for _, q := range c.servers[at.Server].sockets[at.Socket].slots {
		if q != nil && q.why == Silent {
			q.why = why
		}
	}
}

package radius

import (
	"cmp"
	"container/heap"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// Config is a group of servers, which are asked in their order.
type Config struct {
	Servers []Server // at least one
	// MaxFailed is how many requests in a row a server leaves without an answer before it
	// is dead; 0: 3.
	MaxFailed int
	// DeadTime is how long a dead server is left alone while another one is not; 0: 10
	// minutes.
	DeadTime time.Duration
	Rand     io.Reader // nil: crypto/rand
}

// Server is one server.
type Server struct {
	Name string       // for people
	Key  secret.Value // the shared secret
	// Timeout is how long the first answer is waited for, before the request is sent
	// again; each further wait is twice as long, and at most MaxWait, or Timeout if that
	// is longer. 0: 2 seconds.
	Timeout time.Duration
	// Retries is how often a request is sent again; 0: 2, negative: never.
	Retries int
	// Sockets is how many sockets there are to it; each has 256 requests outstanding at
	// most. 0: 1.
	Sockets int
	// Lenient takes answers without a Message-Authenticator to requests without EAP.
	Lenient bool
}

// The defaults of Config and Server, and their bounds.
const (
	DefaultMaxFailed = 3
	DefaultDeadTime  = 10 * time.Minute
	DefaultTimeout   = 2 * time.Second
	DefaultRetries   = 2
	// MaxWait is the longest wait between two transmissions (RFC 5080 section 2.2.1).
	MaxWait = 16 * time.Second
	// MaxWaiting is how many requests wait until a socket has an identifier for them.
	// Whoever comes then is refused: clients would have given up before it was their turn.
	MaxWaiting = 1024
)

// Ticket names one request among those that are not done.
type Ticket uint64

// Place is where a conversation takes place: a server knows what it said, and others do
// not; what spreads requests over servers may go by the port.
type Place struct{ Server, Socket int }

// Datagram is a packet for a server.
type Datagram struct {
	Place
	Data []byte // shared with the client: it must not be changed
}

// Done is the end of a request. It has a Packet or an Err.
type Done struct {
	Ticket Ticket
	Place  // of who answered
	Packet *Packet
	MSK    secret.Value // of an Access-Accept; empty: it has none
	Err    error
}

// Output is what the caller must do: send, then give each requester its end, and tell
// people of the events.
type Output struct {
	Send   []Datagram
	Done   []Done
	Events []Event
}

// Why a request ends without an answer that counts. NoAnswerError is another reason.
var (
	// ErrBusy: servers are slow, and too many requests wait.
	ErrBusy = errors.New("radius: too many requests wait for an answer")
	// ErrUnsigned: the server's answer has no Message-Authenticator.
	ErrUnsigned = errors.New("radius: the answer has no Message-Authenticator")
)

// NoAnswerError ends a request that no server has answered. Server is the last one that was asked,
// and Why what was seen of it.
type NoAnswerError struct {
	Server string
	Why    Silence
}

// Error implements error.
func (e *NoAnswerError) Error() string { return fmt.Sprintf("radius: server %s %s", e.Server, e.Why) }

// Silence is what was seen of a server that has not answered.
type Silence uint8

// What can be seen.
const (
	Silent      Silence = iota // nothing
	Closed                     // nobody listens there: its host says so
	Forged                     // answers that were made with another key
	Unreachable                // there is no way to it
)

// String implements fmt.Stringer.
func (s Silence) String() string {
	switch s {
	case Silent:
		return "does not answer"
	case Closed:
		return "does not listen on its port"
	case Forged:
		return "answers with another key"
	case Unreachable:
		return "cannot be reached"
	}
	return fmt.Sprintf("silence %d", uint8(s))
}

// Client gets requests answered. All its timers are one Deadline. What is forged, late or
// malformed changes nothing but counters, and what is told when the request ends.
type Client struct {
	rand      io.Reader
	maxFailed int
	deadTime  time.Duration
	servers   []*server
	requests  map[Ticket]*request
	timers    timers
}

// request is a Request that is not done.
type request struct {
	ticket Ticket
	*Request
	pinned bool   // to its server, whose State it has
	tried  []bool // by server

	server     *server
	socket     int
	identifier uint8
	placed     bool  // it has socket and identifier; else it waits for them
	call       *call // as it was sent to server
	probe      bool  // of a server that was dead
	first      time.Time
	sent       int // transmissions to this server
	wait       time.Duration
	why        Silence

	at    time.Time // when it is looked at next
	index int       // in timers
}

// NewClient returns a client for c.
func NewClient(c *Config) *Client {
	out := &Client{
		rand:      c.Rand,
		maxFailed: cmp.Or(c.MaxFailed, DefaultMaxFailed),
		deadTime:  cmp.Or(c.DeadTime, DefaultDeadTime),
		requests:  make(map[Ticket]*request),
	}
	if out.rand == nil {
		out.rand = rand.Reader
	}
	for i, s := range c.Servers {
		out.servers = append(out.servers, newServer(i, s))
	}
	return out
}

// Send asks about r, at the place where its conversation takes place; nil: it begins, and
// the first server that lives is asked, then the next. Each ticket is used once. The end
// comes in an Output, maybe this one.
func (c *Client) Send(now time.Time, ticket Ticket, r *Request, at *Place, out *Output) {
	q := &request{ticket: ticket, Request: r, tried: make([]bool, len(c.servers)), index: -1}
	c.requests[ticket] = q
	if at == nil {
		c.ask(now, q, c.choose(now, q), out)
		return
	}
	q.pinned = true
	q.socket = at.Socket
	c.ask(now, q, c.servers[at.Server], out)
}

// Cancel ends a request that nobody waits for any more. A client of ours that has given up
// is a sign of its own: who has been silent all the time counts as silent.
func (c *Client) Cancel(now time.Time, ticket Ticket, out *Output) {
	q, ok := c.requests[ticket]
	if !ok {
		return
	}
	s, seen := q.server, q.sent > 1
	c.leave(now, q, out)
	delete(c.requests, ticket)
	if seen && c.fail(now, s, q, out) {
		c.abandon(now, s, out)
	}
}

// Deadline returns when Expire has something to do; ok says whether there is such a time.
func (c *Client) Deadline() (at time.Time, ok bool) {
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].at, true
}

// Expire does what is due. Called early or twice it does nothing.
func (c *Client) Expire(now time.Time, out *Output) {
	for len(c.timers) > 0 && !c.timers[0].at.After(now) {
		c.expire(now, c.timers[0], out)
	}
}

// expire sends a request again, or gives the server up.
func (c *Client) expire(now time.Time, q *request, out *Output) {
	s := q.server
	switch {
	case !q.placed:
		s.stats.Busy++
		s.tell(now, out, Busy)
		c.finish(now, q, Done{Err: ErrBusy}, out)
	case q.sent <= s.retries && !q.probe && q.why != Closed && q.why != Unreachable:
		s.stats.Retransmissions++
		q.wait = min(2*q.wait, max(MaxWait, s.config.Timeout))
		c.transmit(now, q, out)
	default:
		s.stats.Timeouts++
		c.leave(now, q, out)
		dead := c.fail(now, s, q, out)
		c.next(now, q, s, out)
		if dead {
			c.abandon(now, s, out)
		}
	}
}

// next asks the server behind s, which has not answered.
func (c *Client) next(now time.Time, q *request, s *server, out *Output) {
	var to *server
	if !q.pinned {
		to = c.choose(now, q)
	}
	if to == nil {
		c.finish(now, q, Done{Err: &NoAnswerError{s.config.Name, q.why}}, out)
		return
	}
	c.ask(now, q, to, out)
}

// choose returns the server that is asked next: the first one that lives, or may live
// again, and else the first one that is dead. nil: all have been tried.
func (c *Client) choose(now time.Time, q *request) *server {
	var dead *server
	for i, s := range c.servers {
		switch {
		case q.tried[i]:
		case !s.dead || s.mayLive(now):
			return s
		case dead == nil:
			dead = s
		}
	}
	return dead
}

// ask sends a request to s, or has it wait for an identifier.
func (c *Client) ask(now time.Time, q *request, s *server, out *Output) {
	q.server, q.sent, q.why, q.first = s, 0, Silent, now
	q.tried[s.index] = true
	q.probe = s.dead && s.mayLive(now) && len(c.servers) > 1
	if q.probe {
		s.probe = q
	}
	if s.take(q) {
		c.open(now, q, out)
		return
	}
	if len(s.waiting) == MaxWaiting {
		s.stats.Busy++
		s.tell(now, out, Busy)
		c.finish(now, q, Done{Err: ErrBusy}, out)
		return
	}
	s.waiting = append(s.waiting, q)
	c.timers.set(q, now.Add(s.patience()))
}

// open makes the packet of a request that has an identifier, and sends it.
func (c *Client) open(now time.Time, q *request, out *Output) {
	s := q.server
	call, err := newCall(q.Request, q.identifier, s.config.Key, c.rand)
	if err != nil {
		c.finish(now, q, Done{Err: err}, out)
		return
	}
	q.call, q.wait, q.first = call, s.config.Timeout, now
	s.stats.Requests++
	c.transmit(now, q, out)
}

// transmit sends the packet of a request, once more or for the first time: the same octets
// from the same port, by which a server knows a repeated one.
func (c *Client) transmit(now time.Time, q *request, out *Output) {
	q.sent++
	out.Send = append(out.Send, Datagram{Place{q.server.index, q.socket}, q.call.packet})
	c.timers.set(q, now.Add(c.jitter(q.wait)))
}

// jitter returns d, up to a tenth more or less (RFC 5080 section 2.2.1).
func (c *Client) jitter(d time.Duration) time.Duration {
	var b [1]byte
	if _, err := io.ReadFull(c.rand, b[:]); err != nil {
		return d
	}
	return d + d*time.Duration(int(b[0])-128)/1280
}

// leave takes a request from its server; what waited for its identifier gets that.
func (c *Client) leave(now time.Time, q *request, out *Output) {
	s := q.server
	if s.probe == q {
		s.probe = nil
	}
	if q.index >= 0 {
		heap.Remove(&c.timers, q.index)
	}
	if !q.placed {
		s.waiting = slices.DeleteFunc(s.waiting, func(w *request) bool { return w == q })
		return
	}
	s.free(q)
	if len(s.waiting) > 0 {
		first := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.take(first)
		c.open(now, first, out)
	}
}

// finish ends a request.
func (c *Client) finish(now time.Time, q *request, d Done, out *Output) {
	c.leave(now, q, out)
	delete(c.requests, q.ticket)
	d.Ticket = q.ticket
	out.Done = append(out.Done, d)
}

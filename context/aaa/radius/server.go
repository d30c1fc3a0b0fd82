package radius

import (
	"cmp"
	"time"
)

// identifiers is how many requests one socket may have outstanding (RFC 2865 section 3).
const identifiers = 256

// server is a server as a client sees it.
//
//	lives --- maxFailed requests without an answer ---> dead
//	  ^                                                  |
//	  |                                              deadTime
//	  |                                                  v
//	  +------------------ an answer ------------- may live: one request asks
//
// A server that leaves one request without an answer and answers a later one lives: it may
// have reasons not to answer the first.
type server struct {
	index   int
	config  Server
	retries int
	sockets []socket
	waiting []*request // for an identifier, the first one first

	dead      bool
	deadUntil time.Time
	probe     *request // asks whether the dead server lives again
	failed    int      // requests without an answer since the last answer
	answered  time.Time

	stats Stats
	told  [eventKinds]time.Time // when it was told last
	muted [eventKinds]int       // how often it was not told since
}

// socket has the requests that are outstanding on it, by their identifiers. Identifiers
// follow each other, so that each is used again as late as possible.
type socket struct {
	slots [identifiers]*request
	next  uint8
	used  int
}

// Stats is what has happened with one server.
type Stats struct {
	Requests        uint64 // each once, however often it was sent
	Retransmissions uint64
	Accepts         uint64
	Rejects         uint64
	Challenges      uint64
	Timeouts        uint64 // requests that it has not answered in their time
	Forged          uint64 // answers that do not verify
	Unsigned        uint64 // answers without a Message-Authenticator that need one
	Malformed       uint64 // what is no answer to an Access-Request
	Late            uint64 // answers to nothing that is outstanding
	Busy            uint64 // requests that were refused because too many waited
}

// ServerStatus is one server as it is.
type ServerStatus struct {
	Name        string
	Dead        bool
	DeadUntil   time.Time // where it is Dead: when it is asked again
	Outstanding int
	Waiting     int
	Answered    time.Time // the last time; zero: never
	Stats
}

// newServer returns the server at index.
func newServer(index int, s Server) *server {
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	s.Sockets = max(s.Sockets, 1)
	return &server{index: index, config: s, retries: max(cmp.Or(s.Retries, DefaultRetries), 0),
		sockets: make([]socket, s.Sockets)}
}

// Status describes the servers.
func (c *Client) Status() []ServerStatus {
	out := make([]ServerStatus, 0, len(c.servers))
	for _, s := range c.servers {
		st := ServerStatus{Name: s.config.Name, Dead: s.dead, Waiting: len(s.waiting), Answered: s.answered,
			Stats: s.stats}
		if s.dead {
			st.DeadUntil = s.deadUntil
		}
		for i := range s.sockets {
			st.Outstanding += s.sockets[i].used
		}
		out = append(out, st)
	}
	return out
}

// mayLive says whether a dead server is to be asked once more.
func (s *server) mayLive(now time.Time) bool {
	return s.dead && s.probe == nil && !now.Before(s.deadUntil)
}

// patience is how long a request waits for its answer, at most.
func (s *server) patience() time.Duration {
	total, wait := time.Duration(0), s.config.Timeout
	for range s.retries + 1 {
		total += wait
		wait = min(2*wait, max(MaxWait, s.config.Timeout))
	}
	return total
}

// take gives q a socket and an identifier: on the socket of its conversation, or else on
// the one with the fewest requests. false: all are in use.
func (s *server) take(q *request) bool {
	if !q.pinned || s.sockets[q.socket].used == identifiers {
		q.socket = 0
		for i := range s.sockets {
			if s.sockets[i].used < s.sockets[q.socket].used {
				q.socket = i
			}
		}
	}
	k := &s.sockets[q.socket]
	if k.used == identifiers {
		return false
	}
	for k.slots[k.next] != nil {
		k.next++
	}
	q.identifier, q.placed = k.next, true
	k.slots[k.next] = q
	k.next++
	k.used++
	return true
}

// free takes socket and identifier from q.
func (s *server) free(q *request) {
	k := &s.sockets[q.socket]
	k.slots[q.identifier] = nil
	k.used--
	q.placed, q.call = false, nil
}

// outstanding returns the requests that were sent or wait.
func (s *server) outstanding() []*request {
	out := append([]*request(nil), s.waiting...)
	for i := range s.sockets {
		for _, q := range s.sockets[i].slots {
			if q != nil {
				out = append(out, q)
			}
		}
	}
	return out
}

// fail notes that s has not answered q. It says whether s is dead by that.
func (c *Client) fail(now time.Time, s *server, q *request, out *Output) bool {
	if s.answered.After(q.first) { // it answers others
		s.tell(now, out, LeftOne)
		return false
	}
	s.failed++
	s.tell(now, out, seen[q.why])
	switch {
	case s.dead:
		s.deadUntil = now.Add(c.deadTime)
		return false
	case s.failed < c.maxFailed:
		return false
	}
	s.dead, s.deadUntil = true, now.Add(c.deadTime)
	s.tell(now, out, Died)
	return true
}

// seen are the events of servers that have not answered.
var seen = [...]EventKind{Silent: NoAnswer, Closed: PortClosed, Forged: WrongKey, Unreachable: NoWay}

// live notes that s has answered.
func (c *Client) live(now time.Time, s *server, out *Output) {
	s.answered, s.failed = now, 0
	if s.dead {
		s.dead = false
		s.tell(now, out, Revived)
	}
}

// abandon has the requests that begin a conversation ask another server than s, which is
// dead, where one lives.
func (c *Client) abandon(now time.Time, s *server, out *Output) {
	for _, q := range s.outstanding() {
		if q.pinned || q.server != s {
			continue
		}
		if to := c.choose(now, q); to != nil && !to.dead {
			c.leave(now, q, out)
			c.ask(now, q, to, out)
		}
	}
}

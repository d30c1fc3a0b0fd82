package radius

import (
	"fmt"
	"time"
)

// Event is what an operator should know of a server.
type Event struct {
	Server string
	Kind   EventKind
	// Muted is how often the same has happened since it was told last.
	Muted  int
	Detail string // of Unapplied: the attribute
}

// EventKind says what has happened.
type EventKind uint8

// The events.
const (
	NoAnswer   EventKind = iota // it has not answered a request
	PortClosed                  // nobody listens on its port
	WrongKey                    // it answers with another key
	NoWay                       // there is no way to it
	LeftOne                     // it has not answered one request, and answers others
	Unsigned                    // its answer has no Message-Authenticator
	Busy                        // too many requests wait
	Died                        // others are asked in its place
	Revived                     // it answers again
	Unapplied                   // it says what sessions do not get from servers; not told by Client

	eventKinds
)

// String implements fmt.Stringer.
func (k EventKind) String() string {
	if k < eventKinds {
		return eventTexts[k].text
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Hint says what to do about it; "" where nothing is to be done.
func (k EventKind) Hint() string {
	if k < eventKinds {
		return eventTexts[k].hint
	}
	return ""
}

// eventTexts are the events in words.
var eventTexts = [eventKinds]struct{ text, hint string }{
	NoAnswer: {"it does not answer",
		"is it reached from this context, does it know our address as a client, and is the key the same? " +
			"A server says nothing to a client that it does not know or whose key is another"},
	PortClosed: {"nobody listens on its port",
		"does it run, and is authentication_port the port that it listens on?"},
	WrongKey: {"its answers are made with another key",
		"write the same key here and in the server's list of clients"},
	NoWay: {"there is no way to it",
		"is its interface up, and is there a route to it? warren show context says what is missing"},
	LeftOne: {"it has left one request without an answer, and answers others",
		"its log says why: it may drop what it takes for insecure, or wait for a directory"},
	Unsigned: {"its answer has no Message-Authenticator and was refused",
		"have the server sign its answers: such ones can be forged (CVE-2024-3596)"},
	Busy: {"too many requests wait for its answers, and others are refused",
		"the servers are too slow for so many logins"},
	Died:    {"it counts as dead: others are asked first", "it is asked again after dead_time"},
	Revived: {"it answers again", ""},
	Unapplied: {"sessions do not get an attribute that it sends",
		"write it in a group policy, and have the server name that: Class \"OU=name;\""},
}

// quiet is how long the same is not told again of a server.
const quiet = time.Minute

// tell tells an event, unless it was told a moment ago.
func (s *server) tell(now time.Time, out *Output, k EventKind) {
	if last := s.told[k]; k != Died && k != Revived && !last.IsZero() && now.Sub(last) < quiet {
		s.muted[k]++
		return
	}
	out.Events = append(out.Events, Event{Server: s.config.Name, Kind: k, Muted: s.muted[k]})
	s.told[k], s.muted[k] = now, 0
}

package ikev2

import "errors"

// Why a datagram changed nothing. Each leaves the SA and every record exactly
// as they were; the texts are for counters and debugging.
var (
	// ErrMalformed is a message that is not one, or not one for its exchange.
	ErrMalformed = errors.New("ikev2: malformed message")
	// ErrForged is a message whose integrity checksum is wrong. On an SA whose
	// peer has not yet shown that it has the same keys, some of them make us ask
	// whether it lives: see Garbled.
	ErrForged = errors.New("ikev2: wrong integrity checksum")
	// ErrStale is a message outside the window: an old repeat, or a response
	// that nobody waits for.
	ErrStale = errors.New("ikev2: message is not in the window")
	// ErrState is a message or command that does not fit the state of the SA.
	ErrState = errors.New("ikev2: not in this state")
	// ErrNoChild is a command about a child SA that is not there.
	ErrNoChild = errors.New("ikev2: no such child SA")
)

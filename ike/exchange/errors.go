package exchange

import "errors"

// Why a datagram, command or answer changed nothing. Each leaves the SA and every
// record exactly as they were; the texts are for counters and debugging.
var (
	// ErrMalformed is a message that is not one, or not one for its exchange.
	ErrMalformed = errors.New("exchange: malformed message")
	// ErrForged is a message whose integrity checksum is wrong. On an SA whose
	// peer has not yet shown that it has the same keys, some of them make us ask
	// whether it lives: see Garbled.
	ErrForged = errors.New("exchange: wrong integrity checksum")
	// ErrStale is a message outside the window: an old repeat, or a response
	// that nobody waits for.
	ErrStale = errors.New("exchange: message is not in the window")
	// ErrState is a message, command or answer that does not fit the state of the SA.
	ErrState = errors.New("exchange: not in this state")
	// ErrExcess is a request of a peer that sends too many of them.
	ErrExcess = errors.New("exchange: too many requests")
	// ErrNoChild is a command about a child SA that is not there.
	ErrNoChild = errors.New("exchange: no such child SA")
	// ErrRecord is a record that is not one.
	ErrRecord = errors.New("exchange: malformed record")
)

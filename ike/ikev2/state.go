package ikev2

import (
	"fmt"

	"github.com/warrenvpn/warren/ike/exchange"
)

// State is where an IKE SA stands.
//
//	initiator                       responder
//
//	  start                           IKE_SA_INIT request
//	    |                                |
//	    v                                v
//	Connecting                        HalfOpen -----------------> Dead (timeout)
//	    | IKE_SA_INIT response           |  | IKE_AUTH request    ^
//	    |                                |  v  by certificate, or EAP: then HalfOpen again
//	    |                                | Proving -- refused -+  |
//	    v                                v  v                  v  |
//	Authenticating                    Asking --- refused ----> Rejected
//	    |         \                      | Answer                 (answers repeats)
//	    |          +--> Dead             |
//	    +---------------+----------------+
//	                    v
//	               Established <---------- Contending (rekeyed by both sides)
//	                |   |    \  rekeyed,    |  |
//	                |   |     v by either   |  |
//	                |   |   Replaced <------+  |
//	                |   v      v               v
//	                | Deleting (our DELETE waits for its response)
//	                v   v
//	               Dead
type State uint8

// The states of an IKE SA. Records hold their numbers: none ever changes.
const (
	Connecting     State = iota + 1 // we sent IKE_SA_INIT
	HalfOpen                        // we answered IKE_SA_INIT
	Authenticating                  // we sent IKE_AUTH
	Asking                          // the peer is authentic; AskSession waits for its Answer
	Rejected                        // told no; kept to answer repeats of its request
	Established                     //
	Replaced                        // rekeyed; the one who rekeyed it deletes it
	Deleting                        // we sent DELETE
	Dead                            // keys are gone; the engine forgets it
	Contending                      // came of a rekeying that met another one: see contest
	Proving                         // others verify and make signatures, or answer EAP: see work, eapAuth
)

var stateNames = map[State]string{
	Connecting:     "CONNECTING",
	HalfOpen:       "HALF-OPEN",
	Authenticating: "AUTHENTICATING",
	Asking:         "AUTHORIZING",
	Rejected:       "REJECTED",
	Established:    "ESTABLISHED",
	Replaced:       "REKEYED",
	Contending:     "CONTENDING",
	Proving:        "PROVING",
	Deleting:       "DELETING",
	Dead:           "DEAD",
}

// String returns the state as `show crypto ikev2 sa` prints it.
func (s State) String() string {
	if n, ok := stateNames[s]; ok {
		return n
	}
	return fmt.Sprintf("STATE-%d", uint8(s))
}

// phases are what an Engine knows of the states.
var phases = [...]exchange.Phase{
	Connecting:     exchange.PhaseDialling,
	HalfOpen:       exchange.PhaseHalfOpen,
	Authenticating: exchange.PhaseDialling,
	Proving:        exchange.PhaseHalfOpen,
	Asking:         exchange.PhaseAsking,
	Rejected:       exchange.PhaseRejected,
	Established:    exchange.PhaseEstablished,
	Replaced:       exchange.PhaseEnding,
	Contending:     exchange.PhaseEnding,
	Deleting:       exchange.PhaseEnding,
	Dead:           exchange.PhaseDead,
}

// edges are the transitions that the diagram allows. Dead may follow anything.
var edges = map[State][]State{
	Connecting:     {Authenticating},
	HalfOpen:       {Proving, Asking, Rejected},
	Proving:        {HalfOpen, Asking, Rejected},
	Authenticating: {Established},
	Asking:         {Established, Rejected},
	Rejected:       {},
	Established:    {Replaced, Deleting},
	Replaced:       {Deleting},
	Contending:     {Established, Replaced, Deleting},
	Deleting:       {},
	Dead:           {},
}

// transition moves the SA to a new state.
func (s *SA) transition(to State) {
	if to != Dead || s.state == Dead {
		allowed := false
		for _, e := range edges[s.state] {
			allowed = allowed || e == to
		}
		if !allowed {
			panic(fmt.Sprintf("ikev2: internal error: transition from %v to %v", s.state, to))
		}
	}
	s.state = to
}

// standing reports whether requests inside the SA are served: both ends are
// authentic and its keys are alive.
func (s *SA) standing() bool {
	return s.state == Established || s.state == Replaced || s.state == Contending || s.state == Deleting
}

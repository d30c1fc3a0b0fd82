package ikev2

import (
	"fmt"
	"slices"

	"github.com/warrenvpn/warren/ike/wire"
)

// form is one row of the table of messages: where it may stand, and which payloads
// it must and may hold (RFC 7296 section 1 and appendix C). Payloads that are in no
// row of the table, notifications above all, may come in any number; what is not
// known is ignored (section 2.5).
type form struct {
	exchange wire.ExchangeType
	response bool
	states   []State            // of the SA that takes it; none: it makes one
	once     []wire.PayloadType // required, and no second one
	most     []wire.PayloadType // allowed, and no second one
}

// standing are the states in which messages inside the SA are accepted.
var standing = []State{Established, Replaced, Contending, Deleting}

// The messages of IKEv2.
var (
	formInitRequest = form{exchange: wire.IKESAInit,
		once: []wire.PayloadType{wire.TypeSA, wire.TypeKE, wire.TypeNonce}}
	formInitResponse = form{exchange: wire.IKESAInit, response: true, states: []State{Connecting},
		once: []wire.PayloadType{wire.TypeSA, wire.TypeKE, wire.TypeNonce}}

	// A request without AUTH asks for an authentication of several rounds.
	formAuthRequest = form{exchange: wire.IKEAuth, states: []State{HalfOpen},
		once: []wire.PayloadType{wire.TypeIDi, wire.TypeSA, wire.TypeTSi, wire.TypeTSr},
		most: []wire.PayloadType{wire.TypeAuth, wire.TypeIDr, wire.TypeCP}}
	formAuthNextRequest = form{exchange: wire.IKEAuth, states: []State{HalfOpen},
		most: []wire.PayloadType{wire.TypeAuth}}
	// With EAP it is one of the two that is there. A peer that does not like what it was
	// told says so.
	formEAPRequest = form{exchange: wire.IKEAuth, states: []State{HalfOpen},
		most: []wire.PayloadType{wire.TypeAuth, wire.TypeEAP}}
	formAbandon      = form{exchange: wire.Informational, states: []State{HalfOpen}}
	formAuthResponse = form{exchange: wire.IKEAuth, response: true, states: []State{Authenticating},
		once: []wire.PayloadType{wire.TypeIDr, wire.TypeAuth}}
	formAuthLastResponse = form{exchange: wire.IKEAuth, response: true, states: []State{Authenticating},
		once: []wire.PayloadType{wire.TypeAuth}}

	// What CREATE_CHILD_SA is about is in its SA payload: formCreateRequest says what
	// it is read with, and one of the other two follows.
	formCreateRequest = form{exchange: wire.CreateChildSA, states: standing,
		once: []wire.PayloadType{wire.TypeSA, wire.TypeNonce}, most: []wire.PayloadType{wire.TypeKE}}
	formChildRequest = form{exchange: wire.CreateChildSA, states: standing,
		once: []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeTSi, wire.TypeTSr},
		most: []wire.PayloadType{wire.TypeKE}}
	formRekeyRequest = form{exchange: wire.CreateChildSA, states: standing,
		once: []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeKE}}
	formRekeyResponse = form{exchange: wire.CreateChildSA, response: true, states: standing,
		once: []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeKE}}

	// The part of a response of IKE_AUTH or CREATE_CHILD_SA that is about a child SA.
	formChildAnswer = form{exchange: wire.CreateChildSA, response: true, states: standing,
		once: []wire.PayloadType{wire.TypeSA, wire.TypeTSi, wire.TypeTSr}}

	formInformational         = form{exchange: wire.Informational, states: standing}
	formInformationalResponse = form{exchange: wire.Informational, response: true, states: standing}
)

// forms are all of them.
var forms = []*form{
	&formInitRequest, &formInitResponse, &formAuthRequest, &formAuthNextRequest, &formAuthResponse,
	&formAuthLastResponse, &formEAPRequest, &formAbandon,
	&formCreateRequest, &formChildRequest, &formRekeyRequest, &formRekeyResponse, &formChildAnswer, &formInformational,
	&formInformationalResponse,
}

// check returns what is missing or too much in a message of this form.
func (f *form) check(ps wire.Payloads) error {
	for _, t := range f.once {
		if n := ps.Count(t); n != 1 {
			return fmt.Errorf("ikev2: %d %v payloads instead of one", n, t)
		}
	}
	for _, t := range f.most {
		if n := ps.Count(t); n > 1 {
			return fmt.Errorf("ikev2: %d %v payloads instead of at most one", n, t)
		}
	}
	return nil
}

// serves reports whether an SA in this state serves requests of exchange x.
func (s State) serves(x wire.ExchangeType) bool { return s.accepts(x, false) }

// accepts reports whether an SA in this state accepts requests of exchange x, or
// responses.
func (s State) accepts(x wire.ExchangeType, response bool) bool {
	return slices.ContainsFunc(forms, func(f *form) bool {
		return f.response == response && f.exchange == x && slices.Contains(f.states, s)
	})
}

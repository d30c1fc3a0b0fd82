package ikev2

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/ike/wire"
)

// some is a payload of each type that the table knows.
var some = map[wire.PayloadType]wire.Payload{
	wire.TypeSA: wire.SA{}, wire.TypeKE: wire.KE{}, wire.TypeNonce: wire.Nonce{}, wire.TypeIDi: wire.IDi{},
	wire.TypeIDr:  wire.IDr{},
	wire.TypeAuth: wire.Auth{}, wire.TypeCP: wire.CP{}, wire.TypeTSi: wire.TSi{}, wire.TypeTSr: wire.TSr{},
	wire.TypeEAP: wire.EAP{},
}

// TestForms: of each message, what is required is missed and may not come twice,
// what is allowed may be missing and may not come twice, and everything else may
// come as it likes.
func TestForms(t *testing.T) {
	for _, f := range forms {
		var least wire.Payloads
		for _, kind := range f.once {
			least = append(least, some[kind])
		}
		check := func(what string, ps wire.Payloads, ok bool) {
			t.Helper()
			if err := f.check(ps); (err == nil) != ok {
				t.Errorf("%v, response %v, %s: %v", f.exchange, f.response, what, err)
			}
		}
		check("the least", least, true)
		check("with others", append(slices.Clone(least), wire.Notify{}, wire.Notify{}, wire.Vendor{},
			wire.Unknown{Number: 200}), true)
		for i, kind := range f.once {
			check("without "+kind.String(), slices.Delete(slices.Clone(least), i, i+1), false)
			check("a second "+kind.String(), append(slices.Clone(least), some[kind]), false)
		}
		for _, kind := range f.most {
			check("with "+kind.String(), append(slices.Clone(least), some[kind]), true)
			check("two "+kind.String(), append(slices.Clone(least), some[kind], some[kind]), false)
		}
	}
}

// TestStatesAccept: which requests an SA serves, and which responses it accepts, follows
// from its state alone.
func TestStatesAccept(t *testing.T) {
	inside := []wire.ExchangeType{wire.CreateChildSA, wire.Informational}
	requests := map[State][]wire.ExchangeType{
		HalfOpen: {wire.IKEAuth, wire.Informational}, Established: inside, Replaced: inside, Deleting: inside,
		Contending: inside,
	}
	responses := map[State][]wire.ExchangeType{
		Connecting: {wire.IKESAInit}, Authenticating: {wire.IKEAuth},
		Established: inside, Replaced: inside, Deleting: inside, Contending: inside,
	}
	for s := Connecting; s <= Contending; s++ {
		for x := range wire.ExchangeType(255) {
			if got := s.serves(x); got != slices.Contains(requests[s], x) {
				t.Errorf("%v serves %v: %v", s, x, got)
			}
			if got := s.accepts(x, true); got != slices.Contains(responses[s], x) {
				t.Errorf("%v accepts responses of %v: %v", s, x, got)
			}
		}
	}
}

package ikev2

import (
	"iter"

	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
)

// Agreement is one extension of IKEv2 within one IKE SA: what its ends have said
// about it while they brought the SA up, and what a record and the successor have
// of that. What follows from an agreement stands with its type.
//
// To add an extension: a file with a type that implements Agreement, its line in
// extensions, and a line in iketest's TestAgreementsSurvive.
type Agreement interface {
	// Tag names the field of the agreement in records, for ever.
	Tag() record.Tag
	// Offer returns what we say as the initiator of IKE_SA_INIT or IKE_AUTH.
	Offer(x wire.ExchangeType) []wire.Payload
	// Learn notes what the peer has said in its message of IKE_SA_INIT, of which
	// nothing is authentic yet, or IKE_AUTH. Where the message is a request, what it
	// returns is said in the response.
	Learn(x wire.ExchangeType, request bool, ps wire.Payloads) (answer []wire.Payload)
	// Fields are what a record has of the agreement. A pass that reads begins with
	// what Extension.New returned. They begin with Keep, so that a program which does
	// not know all of them loses nothing.
	Fields(f *record.Fields)
	// Inherit returns what the successor has of the agreement when the IKE SA is
	// rekeyed (RFC 7296 section 2.18).
	Inherit() Agreement
}

// Extension is one kind of Agreement.
type Extension struct {
	Name string // the RFC
	New  func() Agreement
	// Off reports whether the configuration forbids it; nil: it cannot. Then nothing
	// is offered or learned. What stands keeps what was agreed.
	Off func(r *Rules) bool
}

// extensions are what we agree on with every peer that wants to, by ascending Tag.
var extensions = []Extension{
	{Name: "RFC 6311", New: func() Agreement { return &synchronisation{} }},
	{Name: "RFC 7383", New: func() Agreement { return &fragmentation{} },
		Off: func(r *Rules) bool { return r.NoFragmentation }},
	{Name: "RFC 4555", New: func() Agreement { return &mobility{} }, Off: func(r *Rules) bool { return r.NoMOBIKE }},
}

// Extensions returns the names of what we agree on with every peer that wants to.
func Extensions() []string {
	var out []string
	for _, x := range extensions {
		out = append(out, x.Name)
	}
	return out
}

// agreements are all of one SA.
type agreements struct {
	list    []Agreement // those of extensions
	unknown record.Unknown
}

// newAgreements returns those of an SA whose peer has said nothing.
func newAgreements() agreements {
	var a agreements
	for _, x := range extensions {
		a.list = append(a.list, x.New())
	}
	return a
}

// on yields those that the configuration allows.
func (a *agreements) on(r *Rules) iter.Seq[Agreement] {
	return func(yield func(Agreement) bool) {
		for i, g := range a.list {
			if off := extensions[i].Off; off != nil && off(r) {
				continue
			}
			if !yield(g) {
				return
			}
		}
	}
}

// offer returns what we say as the initiator of x.
func (a *agreements) offer(r *Rules, x wire.ExchangeType) []wire.Payload {
	var out []wire.Payload
	for g := range a.on(r) {
		out = append(out, g.Offer(x)...)
	}
	return out
}

// learn notes what the peer has said, and returns what is answered to a request.
func (a *agreements) learn(r *Rules, x wire.ExchangeType, request bool, ps wire.Payloads) []wire.Payload {
	var out []wire.Payload
	for g := range a.on(r) {
		out = append(out, g.Learn(x, request, ps)...)
	}
	return out
}

// find returns the agreement of type A, for what follows from it.
func find[A Agreement](a *agreements) A {
	for _, g := range a.list {
		if found, ok := g.(A); ok {
			return found
		}
	}
	panic("ikev2: internal error: no such extension")
}

// inherit returns what a successor has. What another version has written of an
// extension that we do not know is not passed on: nobody here can say what of it
// still holds.
func (a *agreements) inherit() agreements {
	var n agreements
	for _, g := range a.list {
		n.list = append(n.list, g.Inherit())
	}
	return n
}

// fields are what a record has of all.
func (a *agreements) fields(f *record.Fields) {
	f.Keep(&a.unknown)
	for _, g := range a.list {
		f.Record(g.Tag(), g.Fields)
	}
}

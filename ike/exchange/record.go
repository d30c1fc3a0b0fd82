package exchange

import (
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// RecordKind says what a Record does.
type RecordKind uint8

// The kinds of records.
const (
	RecordIKE      RecordKind = iota + 1 // the whole state of one IKE SA: new or replaced
	RecordWindow                         // message IDs and cached last response of one IKE SA
	RecordIKEDown                        // the IKE SA and all its children are gone
	RecordChild                          // one step of one child SA
	RecordHalfOpen                       // a responder that waits for IKE_AUTH
)

// Record is one durable step. Applying the records of a tenant in order to an
// empty Engine (Replay) gives the state that wrote them; applying one twice in
// a row changes nothing. It holds key material.
type Record struct {
	Kind  RecordKind
	SPI   uint64     // our SPI of the IKE SA
	Child *sa.Change // RecordChild

	// Replaces, in a RecordIKE, is our SPI of the IKE SA whose children now
	// belong to SPI (RFC 7296 section 2.18); 0: none.
	Replaces uint64

	Soft  time.Time // RecordChild that installs: when it is rekeyed
	Group uint16    // and the key exchange that it had
	Anew  bool      // RecordChild that installs or moves: its successor is to have the networks of its entry
	// Surplus, in a RecordChild that installs or moves: both ends have rekeyed the one
	// before it, and the other successor stays.
	Surplus bool

	// Unknown is what a newer version wrote beyond all this. Of Body, that is in Body.
	Unknown Unknown

	// Until, in a RecordHalfOpen, is when the handshake is given up.
	Until time.Time

	// Read, of a RecordIKE that was parsed, is what the version of IKE has made of Body: the first
	// Restore takes it, and need not read Body again. nil: there is nothing.
	Read any

	// Body is the rest of a RecordIKE, RecordWindow or RecordHalfOpen, as the
	// version of IKE that made it writes it.
	Body secret.Value
}

// Clear forgets the secrets of a record that nobody will restore.
func (r *Record) Clear() { r.Body.Clear() }

// Unknown is what a newer version wrote into a record and this one does not know, by
// the place where it stands.
type Unknown struct {
	Envelope record.Unknown // beside the kind and the body, where no keys are

	// Of a RecordChild: in the body, in the Change there, and in its two directions.
	Child, Change, In, Out record.Unknown
}

// Secrets returns what may hold keys, so that it can be forgotten with those beside it.
func (u *Unknown) Secrets() []secret.Value {
	return []secret.Value{u.Child.Secret(), u.Change.Secret(), u.In.Secret(), u.Out.Secret()}
}

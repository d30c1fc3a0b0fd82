package ikev2

import (
	"io"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/internal/record"
)

// SA is one IKE SA. It implements exchange.SA.
type SA struct {
	host  *Version
	index exchange.Index
	state State

	names
	path
	member
	reception

	suite          *suite.Suite
	keys           suite.Keys
	sealer, opener *suite.Cipher

	lifetimes

	window   window
	agreed   agreements
	tasks    []task
	children childList
	quotas   quotas

	predecessor *SA    // that s has replaced, while it may still stand
	contends    uint64 // our SPI of the one that s may replace: see contest

	initiating *initiating        // until Established, of an SA that we have begun
	responding *responding        // and of one that the peer has
	asker      *exchange.Datagram // addresses of the request that is being served; nil: none is

	heard       time.Time // when the peer last proved that it lives
	keepaliveAt time.Time // next NAT keepalive; zero: none
	endAt       time.Time // end of a state that must not last; zero: none
	endReason   string
	retires     *retirement // when another SA has taken its place for good; nil: none has
	served      bool        // it has had a child
	wasReplaced bool        // Deleting came after Replaced
	tired       bool        // it is being rekeyed because its IVs come to an end
	failure     string      // why an initiator's attempt ended
	refused     int         // how often the peer has refused a successor

	// What the next flush writes.
	changes  []exchange.Record
	fresh    bool           // RecordIKE is due
	dirty    bool           // RecordWindow is due
	replaces uint64         // of the RecordIKE
	recorded bool           // RecordIKE has been written, RecordIKEDown not
	unknown  record.Unknown // what a newer version wrote into RecordIKE beyond it
	envelope record.Unknown // and what it wrote beside that; no keys
}

// lifetimes are how long an SA lasts.
type lifetimes struct {
	established time.Time
	soft, hard  time.Time // rekey, end
	lifetime    time.Duration
}

// instants are those that a RecordIKE holds, in the order of instantTags. The last is that of
// the session.
func (l *lifetimes) instants(v *exchange.Session) [4]*time.Time {
	return [...]*time.Time{&l.established, &l.soft, &l.hard, &v.Expires}
}

// retirement is the end of an SA that another one has taken the place of.
type retirement struct {
	at     time.Time
	reason string
}

// child is one child SA and what the engine alone knows of it.
type child struct {
	sa.Child
	soft     time.Time         // when it is rekeyed; zero: never, it is already replaced
	urged    bool              // RekeyChild was said: soft is when the next try begins
	anew     bool              // the successor is to have the networks of the entry: see markAnew
	ending   bool              // its DELETE is under way
	replaces uint64            // ID of the one that it follows, 0: none
	follows  bool              // it was the peer's wish
	replaced time.Time         // when another followed it, or took its place; zero: none did
	surplus  bool              // both ends have rekeyed the one before, and this successor has lost: see crossing
	split    bool              // the peer wants one for each of its pairs of networks: see split
	group    uint16            // key exchange that it had, or that the peer wants for the successor
	refused  int               // how often the peer has refused a successor
	lost     []sa.Selector     // what it has no room for: see Cut
	unknown  *exchange.Unknown // what a newer version wrote into its record beyond it; nil: nothing
}

// install makes the cipher states of the keys.
func (s *SA) install(st *suite.Suite, keys suite.Keys) error {
	toI, err := st.NewCipher(keys.Er, keys.Ar)
	if err != nil {
		return err
	}
	toR, err := st.NewCipher(keys.Ei, keys.Ai)
	if err != nil {
		return err
	}
	s.suite, s.keys = st, keys
	if s.initiator {
		s.sealer, s.opener = toR, toI
	} else {
		s.sealer, s.opener = toI, toR
	}
	return nil
}

// rest lets go of what the next message can make again of the keys.
func (s *SA) rest() {
	if s.sealer != nil {
		s.sealer.Rest()
		s.opener.Rest()
	}
}

// bytesFrom reads n random bytes. A source that fails leaves nothing that could
// be done safely.
func bytesFrom(r io.Reader, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		panic("ikev2: internal error: random source: " + err.Error())
	}
	return b
}

// jittered returns d shortened by up to share of it, at random.
func (v *Version) jittered(d time.Duration, share float64) time.Duration {
	b := bytesFrom(v.Rand(), 2)
	f := float64(uint(b[0])<<8|uint(b[1])) / 65536
	return d - time.Duration(float64(d)*share*f)
}

package ikev2

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// A responder's handshake is on record, too, while there are few of them: an
// initiator that has our IKE_SA_INIT answer repeats IKE_AUTH, and nothing else,
// for minutes, and whoever comes after us must be able to answer. What the
// record holds is the request and a seed; the answer, nonce and private key are
// made from them once more where they are needed.

// record returns the record of the handshake, false where it has none: it is over,
// or was not recorded.
func (r *responding) record() (exchange.Record, bool) {
	if s := r.sa; s.Phase().HalfOpen() && s.state != Rejected && r.recorded {
		v := halfOpen{from: r.from, request: r.request, answer: sha256.Sum256(r.response), seed: r.seed, until: r.until,
			conversing: r.inConversation(), iv: r.lastIV, unknown: r.unknown}
		return exchange.Record{Kind: exchange.RecordHalfOpen, SPI: s.spi, Until: r.until, Body: s.host.body(v.fields),
			Unknown: exchange.Unknown{Envelope: r.envelope}}, true
	}
	return exchange.Record{}, false
}

// halfOpen is the content of a RecordHalfOpen.
type halfOpen struct {
	from    exchange.Datagram // without payload
	request []byte
	answer  [sha256.Size]byte // hash of the response
	seed    secret.Value
	until   time.Time
	// conversing and iv are responding.conversing and lastIV.
	conversing bool
	iv         uint64
	unknown    record.Unknown // what a newer version wrote beyond it
}

// untilTag is where the instant of a RecordHalfOpen stands: see ShiftRecord.
const untilTag record.Tag = 1

func (h *halfOpen) fields(f *record.Fields) {
	f.Keep(&h.unknown)
	f.Instant(untilTag, &h.until)
	f.AddrPort(2, &h.from.Local)
	f.AddrPort(3, &h.from.Remote)
	f.Bytes(4, &h.request)
	f.Fixed(5, h.answer[:])
	f.Key(6, &h.seed)
	f.Flag(7, &h.conversing)
	record.Number(f, 8, &h.iv)
	f.Require(h.seed.Len() == seedSize && !h.until.IsZero())
}

// parseHalfOpen reads the body of a RecordHalfOpen.
func parseHalfOpen(rec exchange.Record) (h halfOpen, err error) {
	if record.Parse(rec.Body.Reveal(), h.fields) != nil {
		return h, exchange.ErrRecord
	}
	return h, nil
}

// restoreHalfOpen makes the responder of a RecordHalfOpen anew. An error says
// that it would give another answer than it gave: the configuration has changed.
func restoreHalfOpen(host *Version, now time.Time, rec exchange.Record) (*SA, error) {
	h, err := parseHalfOpen(rec)
	if err != nil {
		return nil, err
	}
	m, err := wire.ParseMessage(h.request)
	if err != nil {
		return nil, err
	}
	d := h.from
	d.Payload = h.request
	var silent exchange.Output
	s, err := respondTo(host, now, d, &m, rec.SPI, h.seed, &silent)
	if err != nil {
		return nil, err
	}
	r := s.responding
	if sha256.Sum256(r.response) != h.answer {
		s.die()
		return nil, errors.New("ikev2: a half-open SA would be answered differently now")
	}
	s.window.iv = max(host.Epoch()<<32, h.iv) // as if something had been sealed, though no record says so
	s.window.skipIV(s.host.Epoch())
	r.recorded, s.endAt, r.until = true, h.until, h.until
	r.lost, r.lastIV = h.conversing, h.iv
	r.unknown, r.envelope = h.unknown, rec.Unknown.Envelope
	return s, nil
}

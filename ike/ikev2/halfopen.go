package ikev2

import (
	"bytes"
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// A responder's handshake is on record, too, while there are few of them: an
// initiator that has our IKE_SA_INIT answer repeats IKE_AUTH, and nothing else,
// for minutes, and whoever comes after us must be able to answer. What the
// record holds is the request and a seed; the answer, nonce and private key are
// made from them once more where they are needed.

// halfOpenRecord returns the record of the handshake, false where it has none:
// it is over, or was not recorded.
func (s *SA) halfOpenRecord() (exchange.Record, bool) {
	if h := s.handshake; (s.state == HalfOpen || s.state == Asking) && h != nil && h.recorded {
		w := writer{make([]byte, 0, 512)}
		w.instant(h.until) // first: see ShiftRecord
		w.addrPort(h.from.Local)
		w.addrPort(h.from.Remote)
		w.bytes(h.request)
		w.bytes(h.response)
		w.key(h.seed)
		return exchange.Record{Kind: exchange.RecordHalfOpen, SPI: s.spi, Until: h.until, Body: secret.New(w.b)}, true
	}
	return exchange.Record{}, false
}

// halfOpen is the content of a RecordHalfOpen.
type halfOpen struct {
	from     exchange.Datagram // without payload
	request  []byte
	response []byte
	seed     secret.Value
	until    time.Time
}

// parseHalfOpen reads the body of a RecordHalfOpen.
func parseHalfOpen(rec exchange.Record) (h halfOpen, err error) {
	r := reader{s: rec.Body.Reveal()}
	h.until = r.instant()
	h.from.Local, h.from.Remote = r.addrPort(), r.addrPort()
	h.request, h.response = bytes.Clone(r.bytes()), bytes.Clone(r.bytes())
	h.seed = r.key()
	if r.bad || len(r.s) > 0 || h.seed.Len() != seedSize || h.until.IsZero() {
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
	if !bytes.Equal(s.handshake.response, h.response) {
		s.die()
		return nil, errors.New("ikev2: a half-open SA would be answered differently now")
	}
	s.window.iv = host.Epoch() << 32 // as if something had been sealed, though no record says so
	s.skipIV()
	s.handshake.recorded, s.endAt = true, h.until
	s.handshake.until = h.until
	return s, nil
}

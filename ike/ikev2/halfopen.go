package ikev2

import (
	"bytes"
	"errors"
	"time"

	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// A responder's handshake is on record, too, while there are few of them: an
// initiator that has our IKE_SA_INIT answer repeats IKE_AUTH, and nothing else,
// for minutes, and whoever comes after us must be able to answer. What the
// record holds is the request and a seed; the answer, nonce and private key are
// made from them once more where they are needed.

// HalfOpenRecord returns the record of the handshake, false where it has none:
// it is over, or was not recorded.
func (s *SA) HalfOpenRecord() (Record, bool) {
	if h := s.handshake; (s.state == HalfOpen || s.state == Asking) && h != nil && h.recorded {
		w := writer{make([]byte, 0, 512)}
		w.instant(h.until) // first: see Shift
		w.addrPort(h.from.Local)
		w.addrPort(h.from.Remote)
		w.bytes(h.request)
		w.bytes(h.response)
		w.key(h.seed)
		return Record{Kind: RecordHalfOpen, SPI: s.spi, body: secret.New(w.b)}, true
	}
	return Record{}, false
}

// halfOpen is the content of a RecordHalfOpen.
type halfOpen struct {
	from     Datagram // without payload
	request  []byte
	response []byte
	seed     secret.Value
	until    time.Time
}

func (rec *Record) halfOpen() (h halfOpen, err error) {
	r := reader{s: rec.body.Reveal()}
	h.until = r.instant()
	h.from.Local, h.from.Remote = r.addrPort(), r.addrPort()
	h.request, h.response = bytes.Clone(r.bytes()), bytes.Clone(r.bytes())
	h.seed = r.key()
	if r.bad || len(r.s) > 0 || h.seed.Len() != seedSize || h.until.IsZero() {
		return h, errRecord
	}
	return h, nil
}

// HalfOpenUntil returns when the handshake of a RecordHalfOpen is given up.
func (rec *Record) HalfOpenUntil() time.Time {
	h, _ := rec.halfOpen()
	return h.until
}

// Clear forgets the secrets of a record that nobody will restore.
func (rec *Record) Clear() { rec.body.Clear() }

// RestoreHalfOpen makes the responder of a RecordHalfOpen anew. An error says
// that it would give another answer than it gave: the configuration has changed.
func RestoreHalfOpen(host Host, now time.Time, rec Record) (*SA, error) {
	h, err := rec.halfOpen()
	if err != nil {
		return nil, err
	}
	m, err := wire.ParseMessage(h.request)
	if err != nil {
		return nil, err
	}
	d := h.from
	d.Payload = h.request
	var silent Output
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

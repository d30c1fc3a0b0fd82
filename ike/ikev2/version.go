package ikev2

import (
	"errors"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// Version is IKEv2 for one Engine: what all its SAs share. It implements
// exchange.Version.
type Version struct {
	exchange.Host
	rules    *Rules
	before   *Rules // of the last Configure
	partials partials
	suites   []*suite.Suite // in use, or once in use: at most maxSuites
	scratch  []byte         // for a message or a record that is being made
}

var _ exchange.Version = (*Version)(nil)

// New returns IKEv2 without a configuration: Configure comes first.
func New(h exchange.Host) *Version { return &Version{Host: h} }

// Rules are what SAs work from now.
func (v *Version) Rules() *Rules { return v.rules }

// Configure implements exchange.Version.
func (v *Version) Configure(cfg *exchange.Config) error {
	rules, err := Compile(cfg)
	if err != nil {
		return err
	}
	v.before, v.rules = v.rules, rules
	return nil
}

// body returns what fields write, in memory of its own that is no larger. Where that is no longer
// than maxScratch, nothing else is left of it.
func (v *Version) body(fields func(*record.Fields)) secret.Value {
	room := v.room()
	b := record.Append(room, fields)
	if cap(b) != cap(room) { // it has grown, and left its beginning behind
		clear(room[:cap(room)])
	}
	v.keep(b)
	body := secret.Copy(b)
	clear(b)
	return body
}

// room is memory for what is made and then copied: see keep.
func (v *Version) room() []byte {
	if v == nil || v.scratch == nil {
		return make([]byte, 0, maxScratch)
	}
	return v.scratch
}

// keep keeps the memory that room gave, or that has come in its place, for the next time.
func (v *Version) keep(b []byte) {
	if v != nil && cap(b) <= maxScratch {
		v.scratch = b[:0]
	}
}

// suiteOf returns the Suite of a chosen proposal. SAs with the same one share it, as far as
// they have a Version.
func (v *Version) suiteOf(p sa.Proposal) (*suite.Suite, error) {
	if v == nil {
		return suite.New(p)
	}
	for _, s := range v.suites {
		if slices.Equal(s.Proposal(), p) {
			return s, nil
		}
	}
	s, err := suite.New(p)
	if err == nil && len(v.suites) < maxSuites {
		v.suites = append(v.suites, s)
	}
	return s, err
}

// First is an IKE_SA_INIT request, parsed. It implements exchange.First.
type First struct {
	version *Version
	d       exchange.Datagram
	m       wire.Message
}

// ParseFirst reads an IKE_SA_INIT request. The error may be an
// exchange.Rejection.
func (v *Version) ParseFirst(d exchange.Datagram) (exchange.First, error) {
	m, err := wire.ParseMessage(d.Payload)
	var we *wire.Error
	if errors.As(err, &we) && we.Notify == wire.UnsupportedCriticalPayload {
		h, _ := wire.ParseHeader(d.Payload) // it has one: its payloads were read
		return nil, &exchange.Rejection{Message: wire.ClearResponse(&h, we.Response()), Err: err}
	}
	if err != nil {
		return nil, err
	}
	return &First{v, d, m}, nil
}

// Respond implements exchange.First.
func (f *First) Respond(now time.Time, record bool, out *exchange.Output) (exchange.SA, error) {
	s, err := newResponder(f.version, now, f.d, &f.m, record, out)
	var ie *initError
	switch {
	case errors.As(err, &ie):
		return nil, &exchange.Rejection{
			Message: wire.ClearResponse(&f.m.Header, ie.notify), Notify: ie.notify.Type.String(),
			Reason: ie.reason, Err: err,
		}
	case err != nil:
		return nil, err
	}
	return s, nil
}

// Dial implements exchange.Version.
func (v *Version) Dial(now time.Time, name string, out *exchange.Output) (exchange.SA, error) {
	s, err := newInitiator(v, now, name, out)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Restore implements exchange.Version.
func (v *Version) Restore(r exchange.Record) (exchange.SA, error) {
	s, err := v.restored(r)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// RestoreHalfOpen implements exchange.Version. A handshake cannot go on where the
// configuration has changed so that it would be answered otherwise.
func (v *Version) RestoreHalfOpen(now time.Time, r exchange.Record) (exchange.SA, error) {
	s, err := restoreHalfOpen(v, now, r)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// agree does a whole key exchange as its responder.
func (v *Version) agree(ke wire.KE) (public []byte, shared secret.Value, err error) {
	r, err := suite.Respond(ke.Group, v.Rand(), ke.Data)
	if err != nil {
		return nil, secret.Value{}, err
	}
	defer r.Clear()
	shared, err = r.Secret()
	return r.Public(), shared, err
}

// retryAfter returns the pause after a rekeying that was refused: doubled with
// every refusal before it, jittered.
func (v *Version) retryAfter(before int) time.Duration {
	return v.jittered(rekeyRetry<<min(before, rekeyDoublings), 0.5)
}

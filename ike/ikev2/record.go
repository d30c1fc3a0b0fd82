package ikev2

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// recordVersion is what this program reads: records that need it, or an earlier
// one. A record that an older program must not restore, because it would lose
// what it does not know, needs a later one: a RecordIKE then costs the SA there,
// and nothing else. Everything else that is new is a new field, which older
// programs keep and pass on, also where it stands within a record that is a field.
// That is so in
//
//   - the envelope: of a RecordIKE, RecordChild and RecordHalfOpen with the SA. That of
//     a RecordWindow or RecordIKEDown goes no further than the record itself: what is
//     to last goes into its body;
//   - each body, and the session, the windowState, the agreements and each Agreement,
//     the request, each task and each term in it;
//   - the change of a child SA and its two directions, where that installs it.
//
// Transforms, selectors, identities, and what stands in lists of addresses, prefixes
// and SPIs are values without room for more. They get no new field: what is new about
// them gets a tag in the record around them.
const recordVersion = 1

// MaxRecord is the size of the largest record that ParseRecord accepts: two
// whole messages, and keys.
const MaxRecord = 1 << 18

// envelope is what every record has in common, and what can be read of one whose
// body cannot.
type envelope struct {
	*exchange.Record
	needs uint8  // at most recordVersion; 0: any
	body  []byte // that was read, or is written where write is nil
	write func(b []byte) []byte
}

func (e *envelope) fields(f *record.Fields) {
	f.Keep(&e.Unknown.Envelope)
	record.Number(f, 1, &e.Kind)
	record.Number(f, 2, &e.SPI)
	record.Number(f, 3, &e.Replaces)
	record.Number(f, 4, &e.needs)
	if e.write != nil {
		f.Write(5, e.write)
	} else {
		f.Part(5, &e.body)
	}
	f.Require(e.Kind != 0 && e.SPI != 0 && e.Replaces != e.SPI)
}

// childFields are the body of a RecordChild.
func childFields(f *record.Fields, r *exchange.Record) {
	f.Keep(&r.Unknown.Child)
	f.Record(1, func(f *record.Fields) { changeFields(f, r.Child, r.SPI, &r.Unknown) })
	f.Instant(2, &r.Soft)
	record.Number(f, 3, &r.Group)
	f.Flag(4, &r.Anew)
	f.Flag(5, &r.Surplus)
}

// AppendRecord appends a record as a journal, or the session to a standby, has
// it. The bytes are secret; no others are left with what they say, if b was empty or has
// RecordRoom.
func AppendRecord(b []byte, r exchange.Record) []byte {
	e := envelope{Record: &r, body: r.Body.Reveal()}
	if r.Kind == exchange.RecordChild {
		e.write = func(b []byte) []byte {
			return record.Append(b, func(f *record.Fields) { childFields(f, &r) })
		}
	}
	return record.Append(slices.Grow(b, RecordRoom(&r)), e.fields)
}

// RecordRoom returns how many octets AppendRecord appends at most.
func RecordRoom(r *exchange.Record) int {
	room := recordRoom + r.Body.Len() + r.Unknown.Envelope.Len()
	if r.Kind == exchange.RecordChild {
		c, u := &r.Child.Child, &r.Unknown
		room += childRoom + selectorRoom*(len(c.Local)+len(c.Remote)) +
			u.Child.Len() + u.Change.Len() + u.In.Len() + u.Out.Len()
	}
	return room
}

const (
	// recordRoom is what a record of this version takes at most beside its body.
	recordRoom = 32
	// childRoom is what the body of a RecordChild takes at most beside its selectors and
	// what is not known of it, and selectorRoom what each selector takes: bytes that
	// grow leave a copy of the keys behind.
	childRoom, selectorRoom = 512, 64
)

// ParseRecord reads what AppendRecord wrote. A record that needs a newer program,
// or that was cut short, is an error; then the result still has the SPI of the SA
// that it is about, or 0 where that cannot be read, either.
func ParseRecord(b []byte) (exchange.Record, error) {
	var r exchange.Record
	e := envelope{Record: &r}
	if len(b) > MaxRecord || record.Parse(b, e.fields) != nil {
		return exchange.Record{}, exchange.ErrRecord
	}
	lost := exchange.Record{SPI: r.SPI}
	if e.needs > recordVersion {
		return lost, fmt.Errorf("ikev2: record needs version %d, this program reads up to %d", e.needs, recordVersion)
	}
	switch r.Kind {
	case exchange.RecordIKE, exchange.RecordWindow, exchange.RecordHalfOpen:
		r.Body = secret.Copy(e.body)
	case exchange.RecordChild:
		r.Child = new(sa.Change)
		if record.Parse(e.body, func(f *record.Fields) { childFields(f, &r) }) != nil {
			return lost, exchange.ErrRecord
		}
	case exchange.RecordIKEDown:
	default:
		return lost, fmt.Errorf("ikev2: record of unknown kind %d", r.Kind)
	}
	if err := check(&r); err != nil {
		return lost, err
	}
	return r, nil
}

// check reads the body once, so that Replay of what ParseRecord returned does
// not fail for its form, and notes what an Engine wants to know of it.
func check(r *exchange.Record) error {
	switch r.Kind {
	case exchange.RecordIKE:
		s := &SA{}
		r.Read = s
		return s.read(*r)
	case exchange.RecordWindow:
		var v windowState
		if record.Parse(r.Body.Reveal(), v.fields) != nil {
			return exchange.ErrRecord
		}
	case exchange.RecordHalfOpen:
		h, err := parseHalfOpen(*r)
		r.Until = h.until
		return err
	case exchange.RecordChild, exchange.RecordIKEDown:
	}
	return nil
}

// certMapTag is where the certificate map of a RecordIKE stands.
const certMapTag record.Tag = 40

// instantTags are where the instants in the bodies of records stand.
var instantTags = map[exchange.RecordKind][]record.Tag{
	exchange.RecordIKE:      {1, 2, 3, 4},
	exchange.RecordHalfOpen: {untilTag},
}

// ShiftRecord returns r with every instant in it later by d, with keys of its
// own. Nodes have clocks of their own: what comes from another one is shifted by
// the difference, so that it lives as long here as it would have lived there.
func ShiftRecord(r exchange.Record, d time.Duration) exchange.Record {
	if c := r.Child; c != nil {
		change := *c
		change.Child.Expires = shifted(change.Child.Expires, d)
		r.Child, r.Soft = &change, shifted(r.Soft, d)
	}
	r.Until = shifted(r.Until, d)
	tags := instantTags[r.Kind]
	if len(tags) == 0 {
		return r
	}
	body := bytes.Clone(r.Body.Reveal())
	for _, tag := range tags {
		record.ShiftInstant(body, tag, d)
	}
	r.Body = secret.New(body)
	return r
}

// shifted is t later by d; the zero Time stays.
func shifted(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

// fields lists the fields of a RecordIKE: the whole state of the SA, without its
// children. proposal is that of its suite. SK_pi and SK_pr are not among them: they
// have done their work when the SA is established.
func (s *SA) fields(f *record.Fields, proposal *sa.Proposal) {
	f.Keep(&s.unknown)
	for i, t := range s.instants(&s.session) {
		f.Instant(instantTags[exchange.RecordIKE][i], t)
	}
	record.Number(f, 5, &s.peerSPI)
	proposalFields(f, 6, proposal)
	k := &s.keys
	for i, key := range []*secret.Value{&k.D, &k.Ai, &k.Ar, &k.Ei, &k.Er} {
		f.Key(record.Tag(7+i), key)
	}
	v := s.windowState()
	f.Record(12, v.fields)
	if f.Reading() {
		s.setWindowState(v)
	}
	identityFields(f, 13, &s.localID)
	identityFields(f, 14, &s.remoteID)
	f.Text(15, &s.profile)
	f.Text(16, &s.entry)
	f.Duration(17, &s.dpd)
	f.Duration(18, &s.lifetime)
	f.Record(19, func(f *record.Fields) { sessionFields(f, &s.session) })
	for i, flag := range []*bool{
		&s.initiator, &s.dialled, &s.natLocal, &s.natRemote, &s.udp, &s.remoteAccess,
	} {
		f.Flag(record.Tag(20+i), flag)
	}
	f.Text(26, &s.user)
	f.Text(certMapTag, &s.certMap)
}

func sessionFields(f *record.Fields, v *exchange.Session) {
	f.Keep(&v.Unknown)
	f.Text(1, &v.GroupPolicy)
	addrsFields(f, 2, &v.Addresses)
	addrsFields(f, 3, &v.DNS)
	f.Text(4, &v.Domain)
	record.List(f, 5, &v.Split, maxListed, func(f *record.Fields, p *netip.Prefix) { f.Prefix(1, p) })
	f.Text(6, &v.Banner)
	mask := uint8(v.Mask)
	record.Number(f, 7, &mask)
	v.Mask = int(min(mask, 32))
	addrsFields(f, 8, &v.WINS)
	textsFields(f, 9, &v.SplitDNS)
	record.Optional(f, 10, &v.Said, saidFields)
}

func saidFields(f *record.Fields, v *exchange.Said) {
	f.Text(1, &v.GroupPolicy)
	addrsFields(f, 2, &v.Addresses)
	textsFields(f, 3, &v.Pools)
	record.List(f, 4, &v.Split, maxListed, func(f *record.Fields, p *netip.Prefix) { f.Prefix(1, p) })
	f.Duration(5, &v.Idle)
	f.Items(6, &v.Class, maxListed)
}

func textsFields(f *record.Fields, tag record.Tag, list *[]string) {
	record.List(f, tag, list, maxListed, func(f *record.Fields, t *string) { f.Text(1, t) })
}

// record returns the whole state of the SA, without its children.
func (s *SA) record() exchange.Record {
	proposal := s.suite.Proposal()
	body := s.host.body(func(f *record.Fields) { s.fields(f, &proposal) })
	return exchange.Record{Kind: exchange.RecordIKE, SPI: s.spi, Replaces: s.replaces, Body: body,
		Unknown: exchange.Unknown{Envelope: s.envelope}}
}

// read reads record into the empty SA s, which has neither host nor ciphers then.
func (s *SA) read(rec exchange.Record) error {
	var proposal sa.Proposal
	if record.Parse(rec.Body.Reveal(), func(f *record.Fields) { s.fields(f, &proposal) }) != nil {
		return exchange.ErrRecord
	}
	s.spi, s.recorded, s.proven = rec.SPI, true, true
	s.envelope = rec.Unknown.Envelope
	st, err := suite.New(proposal)
	if err == nil {
		err = s.install(st, s.keys)
	}
	if err != nil {
		return fmt.Errorf("ikev2: record: %w", err)
	}
	return nil
}

// restored returns the SA of a RecordIKE.
func (v *Version) restored(r exchange.Record) (*SA, error) {
	s, ok := r.Read.(*SA)
	if !ok || s.host != nil { // somebody has it already
		s = &SA{}
		if err := s.read(r); err != nil {
			return nil, err
		}
	} else { // the record may have been shifted since
		for i, t := range s.instants(&s.session) {
			*t = record.FindInstant(r.Body.Reveal(), instantTags[exchange.RecordIKE][i])
		}
	}
	s.host = v
	st, err := v.suiteOf(s.suite.Proposal())
	if err != nil {
		return nil, err
	}
	return s, s.install(st, s.keys)
}

// ReplayWindow implements exchange.SA.
func (s *SA) ReplayWindow(rec exchange.Record) error { return s.restoreWindow(rec) }

// ReplayChild implements exchange.SA.
func (s *SA) ReplayChild(now time.Time, rec exchange.Record) {
	c := rec.Child.Child
	old := s.children.byID(c.ID)
	switch rec.Child.Op {
	case sa.OpAdd, sa.OpRekey, sa.OpFollow:
		if old != nil {
			return
		}
		n := &child{Child: c, soft: rec.Soft, group: rec.Group, anew: rec.Anew,
			follows: rec.Child.Op == sa.OpFollow && !rec.Surplus}
		if u := rec.Unknown; u != (exchange.Unknown{}) {
			n.unknown = &u
		}
		if rec.Child.Op != sa.OpAdd {
			n.replaces = rec.Child.Replaces
			if o := s.children.byID(n.replaces); o != nil {
				o.replaced, o.soft = now, time.Time{}
			}
		}
		if rec.Surplus {
			n.dismiss(now)
		}
		s.served = true
		s.children = append(s.children, n)
		s.host.BindChild(&n.Child, s)
	case sa.OpMove:
		if old != nil {
			old.LocalAddr, old.RemoteAddr, old.Encap, old.anew = c.LocalAddr, c.RemoteAddr, c.Encap, rec.Anew
			if rec.Surplus {
				old.dismiss(now)
			}
		}
	case sa.OpDelete:
		if old == nil {
			return
		}
		var silent exchange.Output
		s.removeChild(now, old, "", &silent)
		s.changes = nil
	}
}

// Inherit implements exchange.SA: no SA follows one of another version.
func (s *SA) Inherit(predecessor exchange.SA) {
	old, ok := predecessor.(*SA)
	if !ok {
		return
	}
	s.served = old.served
	if old.state == Established && old.spi != s.spi {
		old.transition(Replaced)
		s.predecessor = old
		if r := old.window.request; r != nil && r.task.kind == taskRekeyIKE {
			old.host.Bury(r.seed)
			old.window.request = nil // its answer has made s
		}
	}
	for _, c := range old.children {
		c.Owner = s.spi
		s.children = append(s.children, c)
		s.host.BindChild(&c.Child, s)
	}
	old.children = nil
}

// Drop implements exchange.SA.
func (s *SA) Drop(now time.Time) {
	if r := s.window.request; r != nil {
		r.crossed = nil // what contends has records of its own
	}
	var silent exchange.Output
	s.down(now, "", &silent)
	s.changes, s.recorded = nil, false
}

// Snapshot implements exchange.SA.
func (s *SA) Snapshot(yield func(exchange.Record) bool) bool {
	if s.responding != nil {
		if r, ok := s.responding.record(); ok && !yield(r) {
			return false
		}
	}
	if !s.recorded {
		return true
	}
	if !yield(s.record()) {
		return false
	}
	for _, c := range s.children {
		change := sa.Change{Op: sa.OpAdd, Child: c.Child}
		if c.replaces != 0 && s.children.byID(c.replaces) != nil {
			change.Op, change.Replaces = c.succession(), c.replaces
		}
		if !yield(c.record(s.spi, change)) {
			return false
		}
	}
	return true
}

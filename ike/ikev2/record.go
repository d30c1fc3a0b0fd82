package ikev2

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
)

// recordVersion is the first byte of every record. A change of the format takes
// the next number.
const recordVersion = 4

// MaxRecord is the size of the largest record that ParseRecord accepts: two
// whole messages, and keys.
const MaxRecord = 1 << 18

// AppendRecord appends a record as a journal, or the session to a standby, carries
// it. The bytes are secret.
func AppendRecord(b []byte, r exchange.Record) []byte {
	w := writer{b}
	w.u8(recordVersion)
	w.u8(uint8(r.Kind))
	w.u64(r.SPI)
	switch r.Kind {
	case exchange.RecordIKE, exchange.RecordWindow, exchange.RecordHalfOpen:
		w.u64(r.Replaces)
		w.key(r.Body)
	case exchange.RecordChild:
		w.change(r.Child)
		w.instant(r.Soft)
		w.u16(r.Group)
		w.flag(r.Anew)
	case exchange.RecordIKEDown:
	}
	return w.b
}

// ParseRecord reads what AppendRecord wrote. Records of another version, cut short or
// with bytes left over are errors.
func ParseRecord(b []byte) (exchange.Record, error) {
	if len(b) > MaxRecord {
		return exchange.Record{}, exchange.ErrRecord
	}
	rd := reader{s: b}
	if v := rd.u8(); v != recordVersion {
		return exchange.Record{}, fmt.Errorf("ikev2: record of version %d, not %d", v, recordVersion)
	}
	r := exchange.Record{Kind: exchange.RecordKind(rd.u8()), SPI: rd.u64()}
	switch r.Kind {
	case exchange.RecordIKE, exchange.RecordWindow, exchange.RecordHalfOpen:
		r.Replaces = rd.u64()
		r.Body = rd.key()
	case exchange.RecordChild:
		c := rd.change()
		r.Child = &c
		r.Soft, r.Group, r.Anew = rd.instant(), rd.u16(), rd.flag()
	case exchange.RecordIKEDown:
	default:
		return exchange.Record{}, exchange.ErrRecord
	}
	if rd.bad || len(rd.s) > 0 || r.SPI == 0 || r.Replaces == r.SPI {
		return exchange.Record{}, exchange.ErrRecord
	}
	return r, check(&r)
}

// check reads the body once, so that Replay of what ParseRecord returned does
// not fail for its form, and notes what an Engine wants to know of it.
func check(r *exchange.Record) error {
	var s SA
	switch r.Kind {
	case exchange.RecordIKE:
		return s.restore(*r)
	case exchange.RecordWindow:
		return s.restoreWindow(*r)
	case exchange.RecordHalfOpen:
		h, err := parseHalfOpen(*r)
		r.Until = h.until
		return err
	case exchange.RecordChild:
		if r.Child.Op < sa.OpAdd || r.Child.Op > sa.OpFollow || r.Child.Child.ID == 0 {
			return exchange.ErrRecord
		}
	case exchange.RecordIKEDown:
	}
	return nil
}

func (w *writer) change(c *sa.Change) {
	w.u8(uint8(c.Op))
	w.u64(c.Replaces)
	ch := &c.Child
	w.u64(ch.ID)
	w.u64(ch.Owner)
	w.u32(ch.Slot)
	w.direction(&ch.In)
	w.direction(&ch.Out)
	w.selectors(ch.Local)
	w.selectors(ch.Remote)
	w.addrPort(ch.LocalAddr)
	w.addrPort(ch.RemoteAddr)
	w.u8(uint8(ch.Encap))
	w.u32(ch.ReplayWindow)
	w.instant(ch.Expires)
	w.u64(ch.BytesLimit)
}

func (r *reader) change() (c sa.Change) {
	c.Op = sa.Op(r.u8())
	c.Replaces = r.u64()
	ch := &c.Child
	ch.ID = r.u64()
	ch.Owner = r.u64()
	ch.Slot = r.u32()
	ch.In = r.direction()
	ch.Out = r.direction()
	ch.Local = r.selectors()
	ch.Remote = r.selectors()
	ch.LocalAddr = r.addrPort()
	ch.RemoteAddr = r.addrPort()
	ch.Encap = sa.Encap(r.u8())
	ch.ReplayWindow = r.u32()
	ch.Expires = r.instant()
	ch.BytesLimit = r.u64()
	return c
}

func (w *writer) direction(d *sa.SA) {
	w.u32(uint32(d.SPI))
	w.transform(d.Encryption)
	w.transform(d.Integrity)
	w.flag(d.ESN)
	w.key(d.EncryptionKey)
	w.key(d.IntegrityKey)
}

func (r *reader) direction() sa.SA {
	return sa.SA{
		SPI: sa.SPI(r.u32()), Encryption: r.transform(), Integrity: r.transform(), ESN: r.flag(),
		EncryptionKey: r.key(), IntegrityKey: r.key(),
	}
}

// instants are those of a RecordIKE.
func (s *SA) instants() []*time.Time {
	return []*time.Time{&s.established, &s.soft, &s.hard, &s.session.Expires}
}

// bodyInstants are how many instants the body of a record begins with.
var bodyInstants = map[exchange.RecordKind]int{exchange.RecordIKE: 4, exchange.RecordHalfOpen: 1}

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
	n := bodyInstants[r.Kind]
	if n == 0 {
		return r
	}
	body := bytes.Clone(r.Body.Reveal())
	old := reader{s: body}
	head := writer{make([]byte, 0, 8*n)}
	for range n {
		head.instant(shifted(old.instant(), d))
	}
	copy(body, head.b)
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

// record returns the whole state of the SA, without its children.
func (s *SA) record() exchange.Record {
	w := writer{make([]byte, 0, 1024)}
	for _, t := range s.instants() { // first: see ShiftRecord
		w.instant(*t)
	}
	w.flag(s.initiator)
	w.flag(s.dialled)
	w.u64(s.peerSPI)
	w.flag(s.natLocal)
	w.flag(s.natRemote)
	w.flag(s.udp)
	w.proposal(s.suite.Proposal())
	for _, k := range []secret.Value{s.keys.D, s.keys.Ai, s.keys.Ar, s.keys.Ei, s.keys.Er, s.keys.Pi, s.keys.Pr} {
		w.key(k)
	}
	w.text(s.profile)
	w.text(s.entry)
	w.flag(s.remoteAccess)
	w.u64(uint64(s.dpd))
	for _, id := range []auth.Identity{s.localID, s.remoteID} {
		w.u8(uint8(id.Type))
		w.text(id.Data)
	}
	w.session(&s.session)
	w.u64(uint64(s.lifetime))
	w.flag(s.sync.ids)
	w.flag(s.sync.counters)
	s.writeWindow(&w)
	return exchange.Record{Kind: exchange.RecordIKE, SPI: s.spi, Replaces: s.replaces, Body: secret.New(w.b)}
}

// restore reads record into the empty SA s.
func (s *SA) restore(rec exchange.Record) error {
	r := reader{s: rec.Body.Reveal()}
	s.spi, s.recorded, s.proven, s.creates = rec.SPI, true, true, newCreates()
	for _, t := range s.instants() {
		*t = r.instant()
	}
	s.initiator, s.dialled = r.flag(), r.flag()
	s.peerSPI = r.u64()
	s.natLocal, s.natRemote, s.udp = r.flag(), r.flag(), r.flag()
	p := r.proposal()
	k := &s.keys
	for _, v := range []*secret.Value{&k.D, &k.Ai, &k.Ar, &k.Ei, &k.Er, &k.Pi, &k.Pr} {
		*v = r.key()
	}
	s.profile, s.entry = r.text(), r.text()
	s.remoteAccess = r.flag()
	s.dpd = time.Duration(r.u64())
	for _, id := range []*auth.Identity{&s.localID, &s.remoteID} {
		*id = auth.Identity{Type: wire.IDType(r.u8()), Data: r.text()}
	}
	expires := s.session.Expires
	s.session = r.session()
	s.session.Expires = expires
	s.lifetime = time.Duration(r.u64())
	s.sync.ids, s.sync.counters = r.flag(), r.flag()
	s.readWindow(&r)
	if r.bad || len(r.s) > 0 || s.dpd < 0 || s.lifetime < 0 {
		return exchange.ErrRecord
	}
	st, err := suite.New(p)
	if err != nil {
		return fmt.Errorf("ikev2: record: %w", err)
	}
	if err := s.install(st, s.keys); err != nil {
		return fmt.Errorf("ikev2: record: %w", err)
	}
	return nil
}

func (w *writer) session(v *exchange.Session) {
	w.text(v.GroupPolicy)
	w.addrs(v.Addresses)
	w.addrs(v.DNS)
	w.text(v.Domain)
	w.u16(uint16(len(v.Split)))
	for _, p := range v.Split {
		w.addr(p.Addr())
		w.u8(uint8(p.Bits()))
	}
	w.text(v.Banner)
}

func (r *reader) session() (v exchange.Session) {
	v.GroupPolicy = r.text()
	v.Addresses = r.addrs()
	v.DNS = r.addrs()
	v.Domain = r.text()
	for range r.count(2) {
		p := netip.PrefixFrom(r.addr(), int(r.u8()))
		if !p.IsValid() {
			r.fail()
			break
		}
		v.Split = append(v.Split, p)
	}
	v.Banner = r.text()
	return v
}

// ReplayWindow implements exchange.SA.
func (s *SA) ReplayWindow(rec exchange.Record) error {
	var probe SA
	if err := probe.restoreWindow(rec); err != nil {
		return err
	}
	return s.restoreWindow(rec)
}

// ReplayChild implements exchange.SA.
func (s *SA) ReplayChild(now time.Time, rec exchange.Record) {
	c := rec.Child.Child
	old := s.childByID(c.ID)
	switch rec.Child.Op {
	case sa.OpAdd, sa.OpRekey, sa.OpFollow:
		if old != nil {
			return
		}
		n := &child{Child: c, soft: rec.Soft, group: rec.Group, anew: rec.Anew, follows: rec.Child.Op == sa.OpFollow}
		if rec.Child.Op != sa.OpAdd {
			n.replaces = rec.Child.Replaces
			if o := s.childByID(n.replaces); o != nil {
				o.replaced, o.soft = now, time.Time{}
			}
		}
		s.served = true
		s.children = append(s.children, n)
		s.host.BindChild(&n.Child, s)
	case sa.OpMove:
		if old != nil {
			old.LocalAddr, old.RemoteAddr, old.Encap, old.anew = c.LocalAddr, c.RemoteAddr, c.Encap, rec.Anew
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
	var silent exchange.Output
	s.down(now, "", &silent)
	s.changes, s.recorded = nil, false
}

// Snapshot implements exchange.SA.
func (s *SA) Snapshot(yield func(exchange.Record) bool) bool {
	if r, ok := s.halfOpenRecord(); ok && !yield(r) {
		return false
	}
	if !s.recorded {
		return true
	}
	if !yield(s.record()) {
		return false
	}
	for _, c := range s.children {
		change := sa.Change{Op: sa.OpAdd, Child: c.Child}
		if c.replaces != 0 && s.childByID(c.replaces) != nil {
			change.Op, change.Replaces = c.succession(), c.replaces
		}
		if !yield(c.record(s.spi, change)) {
			return false
		}
	}
	return true
}

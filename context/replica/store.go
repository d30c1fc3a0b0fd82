package replica

import (
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike/exchange"
)

// store is the state of a tenant as its journal says it, and the journal.
type store struct {
	log      *slog.Logger
	tell     func(control.Fact)
	host     Host
	journal  *ledger
	counters *esp.Counters
	reserves bool // child SAs have reservations: there is a twin
	lost     int  // IKE SAs that were given up since the copy was made: see image

	state    State
	slots    *slots
	accounts map[uint64]sessionEntry // by our SPI of the IKE SA
	early    map[uint64]counterEntry // counters that came before their child SA
	gone     losses
	refused  map[uint64]bool // child SAs, by ID, that the data plane does not hold: see Replica.Refused
}

func newStore(cfg *Config) (*store, error) {
	l, err := openLedger(cfg.Journal)
	if err != nil {
		return nil, fmt.Errorf("replica: %w: %w", ErrJournal, err)
	}
	return &store{
		log: cfg.Log, tell: cfg.Tell, host: cfg.Host, journal: l, counters: cfg.Counters, reserves: cfg.Failover != nil,
		slots: newSlots(cfg.Counters.Len()), accounts: make(map[uint64]sessionEntry),
		early: make(map[uint64]counterEntry), gone: make(losses), refused: make(map[uint64]bool),
	}, nil
}

// image is a state while entries are applied to it.
type image struct {
	state    State
	slots    *slots
	accounts map[uint64]sessionEntry
	early    map[uint64]counterEntry
	gone     losses
	lost     int // IKE SAs that were given up
	// ours: the entries are of this node's journal, where instants are on its clock
	// and slots are chosen. Otherwise another node has just sent them.
	ours bool
	// live: it is the state that the data plane carries traffic with.
	live bool
}

// apply brings one entry into an image, and returns it as this node writes it down.
// An entry that cannot be applied costs the SA that it is about.
func (s *store) apply(now time.Time, e entry, im *image) entry {
	if !im.ours {
		e = e.received(now)
	}
	switch {
	case e.session != nil:
		im.accounts[e.session.spi] = *e.session
	case e.habit != nil:
		im.state.Remember(e.habit.addr, e.habit.identity)
	case e.counters != nil && im.live:
		s.learn(*e.counters)
	case e.counters != nil:
		im.early[e.counters.child] = *e.counters
	case e.lost != nil && e.record == nil: // it is not known what it is about
		s.count(0, e.lost, im)
	case e.lost != nil: // the record is the end of the SA
		return s.giveUp(now, e.record.SPI, e.lost, im)
	case e.abandoned && e.record != nil:
		if _, again := im.gone[e.record.SPI]; !again {
			im.lost++
		}
		return s.abandon(now, e.record.SPI, im)
	case e.record != nil:
		return s.applyRecord(now, e, im)
	}
	return e
}

// applyRecord brings a record of the engine into an image.
func (s *store) applyRecord(now time.Time, e entry, im *image) entry {
	r := e.record
	if im.gone.concern(r, im.early) {
		return e
	}
	if c := r.Child; c != nil {
		place := im.slots.place
		if im.ours {
			place = im.slots.replay
		}
		if err := place(c); err != nil {
			return s.giveUp(now, r.SPI, err, im)
		}
	}
	if err := im.state.Replay(now, *r); err != nil {
		return s.giveUp(now, r.SPI, err, im)
	}
	if !im.live {
		inherit(im.accounts, r)
		return e
	}
	s.install(r)
	if r.Child != nil {
		if c, ok := s.early[r.Child.Child.ID]; ok { // its counters came first
			delete(s.early, r.Child.Child.ID)
			s.learn(c)
		}
	}
	return e
}

// giveUp ends an IKE SA that a record cannot be applied to, here and in an image: all
// others are worth more than that one. It returns what this node writes down.
func (s *store) giveUp(now time.Time, spi uint64, err error, im *image) entry {
	if _, again := im.gone[spi]; !again {
		s.count(spi, err, im)
	}
	return s.abandon(now, spi, im)
}

// count tells that a record cannot be used.
func (s *store) count(spi uint64, err error, im *image) {
	im.lost++
	s.tell(&control.IKELost{SA: spi, Reason: err.Error(), Count: uint64(im.lost)})
}

// abandon takes an IKE SA with its child SAs out of an image, and passes over what
// comes of it from then on: a part of it would be taken for the whole.
func (s *store) abandon(now time.Time, spi uint64, im *image) entry {
	end := exchange.Record{Kind: exchange.RecordIKEDown, SPI: spi}
	_ = im.state.Replay(now, end) // which forgets the SA in any case
	children := im.slots.of(spi)
	im.gone.add(spi, children, im.early)
	if im.live {
		s.install(&end)
	}
	for i := range children {
		im.slots.done(&children[i])
	}
	return entry{at: now, record: &end, abandoned: true}
}

// restore makes the state that of the journal, as after the death of a worker, and
// returns the number of its IKE SAs.
func (s *store) restore(now time.Time) (int, error) {
	im, use, err := s.blank(true)
	if err != nil {
		return 0, err
	}
	s.slots = im.slots
	if err = s.journal.replay(func(e entry) { s.apply(now, e, im) }); err != nil {
		return 0, fmt.Errorf("replica: %w: %w", ErrJournal, err)
	}
	return s.use(im, use), nil
}

// repeat applies one entry of the active twin, and writes it to the journal with
// the counter slots that child SAs have here.
func (s *store) repeat(now time.Time, payload []byte) error {
	all, err := parseEntries(payload)
	if err != nil {
		return err
	}
	im := &image{
		state: s.state, slots: s.slots, accounts: s.accounts, early: s.early, gone: s.gone, lost: s.lost, live: true,
	}
	for i, e := range all {
		all[i] = s.apply(now, e, im)
	}
	s.lost = im.lost
	written := appendEntries(nil, all)
	_, err = s.journal.append(written, s.snapshot)
	clear(written)
	if err != nil {
		return err
	}
	return s.journal.tidy(s.snapshot)
}

// blank returns an image without SAs, and what puts its state into use.
func (s *store) blank(ours bool) (*image, func(), error) {
	state, use, err := s.host.Rebuild()
	im := &image{
		state: state, slots: newSlots(s.counters.Len()), accounts: make(map[uint64]sessionEntry),
		early: make(map[uint64]counterEntry), gone: make(losses), ours: ours,
	}
	if !ours {
		im.slots = s.slots.renew()
	}
	return im, use, err
}

// use makes an image the state that the tenant is served with, and returns the
// number of its IKE SAs: the data plane holds exactly their child SAs then, but for those
// that it has refused.
func (s *store) use(im *image, use func()) int {
	use()
	s.state, s.accounts, s.early = im.state, im.accounts, make(map[uint64]counterEntry)
	s.gone, s.lost = im.gone, im.lost
	all, owners, spis := im.state.Status(), make(map[uint64]uint64), make(map[uint64]bool)
	for _, x := range all {
		spis[x.Peer.SPI] = true
		for _, c := range x.Children {
			owners[c.ID] = x.Peer.SPI
		}
	}
	maps.DeleteFunc(s.accounts, func(spi uint64, _ sessionEntry) bool { return !spis[spi] })
	for id, c := range s.slots.byID {
		if _, alive := owners[id]; !alive || !im.slots.hasAt(id, c.slot) {
			s.installChild(&sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id, Owner: c.owner, Slot: c.slot}})
		}
	}
	s.slots = im.slots
	s.slots.reconcile(owners)
	for r := range im.state.Snapshot {
		if r.Child != nil && s.slots.has(r.Child.Child.ID) {
			s.slots.fill(r.Child)
			s.installChild(r.Child)
		}
	}
	for _, c := range im.early {
		if im.ours { // its counts are in the counter memory
			s.slots.reserve(c.child, c.reservation)
			continue
		}
		s.learn(c)
	}
	return len(all)
}

// learn takes over the counters of a child SA that another node has counted. Those of
// one that is not here yet wait for it.
func (s *store) learn(e counterEntry) {
	c := s.slots.byID[e.child]
	if c == nil || s.counters.Slot(c.slot).Owner() != e.child {
		s.early[e.child] = e
		return
	}
	c.reservation = e.reservation
	window := s.counters.Window(c.slot)
	window.Advance(e.facts.SequenceIn)
	s.counters.Slot(c.slot).Learn(e.facts)
}

// install brings one record to the data plane.
func (s *store) install(r *exchange.Record) {
	switch {
	case r.Child != nil:
		s.installChild(r.Child)
	case r.Kind == exchange.RecordIKE && r.Replaces != 0:
		s.slots.inherit(r.Replaces, r.SPI)
		inherit(s.accounts, r)
		s.host.Rekeyed(r.Replaces, r.SPI)
	case r.Kind == exchange.RecordIKEDown:
		for _, c := range s.slots.of(r.SPI) {
			s.installChild(&c)
		}
		delete(s.accounts, r.SPI)
	}
}

// installChild brings one change to the data plane.
func (s *store) installChild(ch *sa.Change) {
	id := ch.Child.ID
	if c := s.slots.byID[id]; c != nil {
		ch.Child.Owner = c.owner
	}
	err := s.host.Install(ch)
	if err != nil {
		s.log.Error("data plane refuses a child SA", "child", id, "op", ch.Op.String(), "reason", err)
	}
	switch {
	case ch.Op == sa.OpDelete:
		delete(s.refused, id)
	case ch.Op.Installs() && err != nil:
		s.refused[id] = true
	}
	s.slots.done(ch)
	if c := s.slots.byID[id]; c != nil && ch.Op.Installs() && c.reservation.Limit > 0 {
		s.counters.Slot(c.slot).SetOutLimit(c.reservation.Limit)
	}
}

// inherit gives an IKE SA that has followed another one, and has no account of its own
// yet, that of the other one: also the fields in it that this program does not know.
func inherit(accounts map[uint64]sessionEntry, r *exchange.Record) {
	past, ok := accounts[r.Replaces]
	if _, known := accounts[r.SPI]; !ok || known || r.Kind != exchange.RecordIKE {
		return
	}
	past.spi = r.SPI
	accounts[r.SPI] = past
}

// account notes what a session has behind it, and returns the entry that says so.
func (s *store) account(e sessionEntry) []byte {
	s.accounts[e.spi] = e
	return appendSession(nil, s.host.Now(), e)
}

// append writes an entry to the journal. It returns 0 where the journal has no room for
// it: a restart would lose what the entry says.
func (s *store) append(payload []byte) journal.Position {
	p, err := s.journal.append(payload, s.snapshot)
	if err != nil {
		s.log.Error("journal cannot be written; a restart would lose SAs", "reason", err)
		return 0
	}
	return p
}

// tidy keeps the journal from growing far over the state that it describes.
func (s *store) tidy() { s.shrink(s.journal.tidy) }

// shrink makes the journal smaller, by a method of it.
func (s *store) shrink(by func(state iter.Seq[[]byte]) error) {
	if err := by(s.snapshot); err != nil {
		s.log.Error("journal cannot be written; a restart would lose SAs", "reason", err)
	}
}

// snapshot yields the entries that say the whole state. Each is valid until the next one, and
// is overwritten then: it may hold keys.
func (s *store) snapshot(yield func([]byte) bool) {
	var b []byte
	say := func(e entry) bool {
		b = e.append(b[:0])
		more := yield(b)
		clear(b)
		return more
	}
	for a, identity := range s.state.Habits {
		if !say(entry{habit: &habitEntry{addr: a, identity: identity}}) {
			return
		}
	}
	now := s.host.Now()
	for spi := range s.gone {
		end := exchange.Record{Kind: exchange.RecordIKEDown, SPI: spi}
		if !say(entry{at: now, record: &end, abandoned: true}) {
			return
		}
	}
	s.state.Snapshot(func(r exchange.Record) bool {
		if r.Child != nil {
			if !s.slots.has(r.Child.Child.ID) {
				return true // it is being ended: see commit
			}
			s.slots.fill(r.Child)
			if s.reserves {
				if c := s.countersOf(r.Child.Child.ID); !say(entry{counters: &c}) {
					return false
				}
			}
		}
		if !say(entry{at: now, record: &r}) {
			return false
		}
		past, ok := s.accounts[r.SPI]
		return !ok || r.Kind != exchange.RecordIKE || say(entry{at: now, session: &past})
	})
}

// countersOf returns the counters entry of a child SA as it is now.
func (s *store) countersOf(id uint64) counterEntry {
	e := counterEntry{child: id, facts: s.facts(id)}
	if c := s.slots.byID[id]; c != nil {
		e.reservation = c.reservation
	}
	return e
}

// facts returns the counters of an installed child SA.
func (s *store) facts(id uint64) esp.Facts {
	c := s.slots.byID[id]
	if c == nil {
		return esp.Facts{}
	}
	return s.counters.Slot(c.slot).Facts()
}

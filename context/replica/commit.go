package replica

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/ike/exchange"
)

// Commit makes changes of the engine durable and installs the child SAs in them: the
// twin gets them with the next Push. It returns the child SAs for which there are no counters left: they have to end,
// without counters they would use numbers twice.
func (r *Replica) Commit(now time.Time, changes []exchange.Record) (uncounted []uint64) {
	if len(changes) == 0 {
		return nil
	}
	changes = slices.DeleteFunc(changes, func(x exchange.Record) bool {
		if x.Child == nil {
			return false
		}
		err := r.store.slots.place(x.Child)
		if err != nil {
			r.log.Error("no counters for a child SA", "child", x.Child.Child.ID, "reason", err)
			uncounted = append(uncounted, x.Child.Child.ID)
		}
		return err != nil || !r.store.slots.has(x.Child.Child.ID) // it never had any, and this is about its end
	})
	r.ending = endsOf(changes)
	for len(changes) > 0 {
		n := r.commitSome(now, changes)
		for i := range n {
			r.store.install(&changes[i])
		}
		changes = changes[n:]
	}
	r.ending = nil
	r.store.tidy()
	r.role.committed(now)
	return uncounted
}

// Refused returns the child SAs, by ID, that the data plane has refused since it was
// asked last, be they new or of the journal: they have to end, or the peer sends what
// nobody opens. On the standby there are none until it serves.
func (r *Replica) Refused() []uint64 {
	if !r.role.serves() || len(r.store.refused) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(r.store.refused))
	clear(r.store.refused)
	return ids
}

// endsOf returns the IKE SAs that end with changes, by our SPI.
func endsOf(changes []exchange.Record) map[uint64]bool {
	ends := make(map[uint64]bool)
	for i := range changes {
		if changes[i].Kind == exchange.RecordIKEDown {
			ends[changes[i].SPI] = true
		}
	}
	return ends
}

// commitSome makes changes durable that belong together, and returns how many.
// They are one entry: a worker that dies, or a twin that takes over, has all of
// them or none. One without the other may say that an exchange goes on which has
// already made its SA.
func (r *Replica) commitSome(now time.Time, changes []exchange.Record) (n int) {
	all, at := make([]entry, 0, len(changes)+1), r.host.Now()
	for size := 0; n < len(changes) && size < maxBatch; n++ {
		first := len(all)
		// How far a child may count comes before the child: nobody holds one
		// without the other.
		if c := changes[n].Child; c != nil && c.Op.Installs() {
			if e := r.role.reserve(c); e != nil {
				all = append(all, entry{counters: e})
			}
		}
		all = append(all, entry{at: at, record: &changes[n]})
		for i := first; i < len(all); i++ {
			size += all[i].room()
		}
	}
	r.write(all)
	return n
}

// mostScratch bounds the memory for an entry that is kept for the next one, in bytes.
const mostScratch = 16 << 10

// write makes entries durable that count together. They are written where those before
// were, which are overwritten.
func (r *Replica) write(all []entry) {
	b := appendEntries(r.scratch[:0], all)
	r.role.record(b)
	if cap(b) <= mostScratch {
		r.scratch = b[:0]
	}
}

// Dispatch lets messages leave when what they depend on is durable on both nodes, and
// in order.
func (r *Replica) Dispatch(messages []exchange.Datagram) {
	if len(messages) > 0 {
		r.role.dispatch(messages)
	}
}

// Account is what a session has behind it: what its IKE SA does not say.
type Account struct {
	Since             time.Time
	BytesIn, BytesOut uint64 // of child SAs that are gone
}

// SetAccount makes durable what the session of an IKE SA has behind it; spi is our
// SPI. On the standby it does nothing: what the twin says counts. Nor does it where Host
// calls it within Commit for an IKE SA that ends with these changes: behind its end, the
// account would stay for ever.
func (r *Replica) SetAccount(spi uint64, a Account) {
	if r.ending[spi] {
		return
	}
	r.role.account(sessionEntry{
		spi: spi, since: a.Since, bytesIn: a.BytesIn, bytesOut: a.BytesOut, unknown: r.store.accounts[spi].unknown,
	})
}

// Account returns what the session of an IKE SA has behind it, if anything is known.
func (r *Replica) Account(spi uint64) (Account, bool) {
	e, ok := r.store.accounts[spi]
	return Account{Since: e.since, BytesIn: e.bytesIn, BytesOut: e.bytesOut}, ok
}

// Returned makes durable that an identity has given an address back to its pool.
func (r *Replica) Returned(a netip.Addr, identity string) {
	r.role.record(appendHabit(nil, habitEntry{addr: a, identity: identity}))
}

// Condense gives memory of the journal back that what has happened to many SAs has taken. It takes
// some microseconds for each of them: it is for when a burst is over.
func (r *Replica) Condense() { r.store.shrink(r.store.journal.condense) }

// Crowded reports whether the state takes so much of the journal's memory that no more
// should be added to it.
func (r *Replica) Crowded() bool { return r.store.journal.crowded() }

// Raise gives a child SA that has used most of its outbound sequence numbers more of
// them, once the twin knows. It returns ErrExhausted where there are none, or
// where the twin knows the child SA and cannot be asked.
func (r *Replica) Raise(now time.Time, child uint64) error { return r.role.raise(now, child) }

// TellCounters tells the twin of child SAs that had traffic since the last time. It is
// called every second.
func (r *Replica) TellCounters(now time.Time) { r.role.tellCounters(now) }

// Traffic says that a child SA had traffic since it was looked at last.
type Traffic struct {
	Child, IKE uint64 // its ID, and our SPI of its IKE SA
	Heard      bool   // packets came in
}

// Traffic yields the child SAs that had traffic since the last time.
func (r *Replica) Traffic(yield func(Traffic) bool) {
	for id, c := range r.store.slots.byID {
		facts := r.store.counters.Slot(c.slot).Facts()
		heard, moved := facts.LastIn != c.heard, facts.LastIn != c.heard || facts.LastOut != c.sent
		c.heard, c.sent = facts.LastIn, facts.LastOut
		if moved && !yield(Traffic{Child: id, IKE: c.owner, Heard: heard}) {
			return
		}
	}
}

// Facts returns the counters of a child SA; zero: it has none.
func (r *Replica) Facts(child uint64) esp.Facts { return r.store.facts(child) }

// SkipOut moves the outbound sequence numbers of a child SA on by so many (RFC 6311
// section 5.1).
func (r *Replica) SkipOut(child, numbers uint64) {
	if c := r.store.slots.byID[child]; c != nil {
		slot := r.store.counters.Slot(c.slot)
		slot.SkipOut(slot.OutNext() + numbers)
	}
}

// Known returns the highest inbound sequence number of a child SA that was known
// when this node took over, and false where there is no such child SA.
func (r *Replica) Known(child uint64) (uint64, bool) {
	c := r.store.slots.byID[child]
	if c == nil {
		return 0, false
	}
	return c.taken, true
}

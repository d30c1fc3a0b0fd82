package worker

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike/exchange"
)

// carry does what the engine asked for: changes are journalled and installed,
// then messages leave, then events are told. An answer to an event may ask for
// more; carry ends when nothing is left.
func (w *Worker) carry(now time.Time) {
	for len(w.out.Changes)+len(w.out.Send)+len(w.out.Events) > 0 {
		out := w.out
		w.out = exchange.Output{}
		w.commit(now, out.Changes)
		w.twin.dispatch(w, out.Send)
		for _, e := range out.Events {
			w.publish(now, e)
		}
	}
	w.tellStanding(now)
}

// send lets messages leave.
func (w *Worker) send(messages []exchange.Datagram) {
	for _, d := range messages {
		if err := w.plane.SendIKE(d.Local, d.Remote, d.Payload); err != nil {
			w.log.Debug("message not sent", "peer", d.Remote, "reason", err)
		}
	}
}

// commit makes the changes durable and installs the child SAs in them.
func (w *Worker) commit(now time.Time, changes []exchange.Record) {
	if len(changes) == 0 {
		return
	}
	changes = slices.DeleteFunc(changes, func(r exchange.Record) bool { return r.Child != nil && !w.place(now, r.Child) })
	for len(changes) > 0 {
		n := w.commitSome(changes)
		for i := range n {
			w.install(&changes[i])
		}
		changes = changes[n:]
	}
	w.tidy()
	w.twin.feed(now)
}

// commitSome makes changes durable that belong together, and returns how many.
// They are one entry: a worker that dies, or a twin that takes over, has all of
// them or none. One without the other may say that an exchange goes on which has
// already made its SA.
func (w *Worker) commitSome(changes []exchange.Record) (n int) {
	var parts [][]byte
	for size := 0; n < len(changes) && size < maxBatch; n++ {
		first := len(parts)
		// How far a child may count comes before the child: nobody holds one
		// without the other.
		if c := changes[n].Child; c != nil && c.Op.Installs() && w.twin != nil {
			parts = append(parts, w.twin.reserve(w, c))
		}
		parts = append(parts, appendRecord(nil, w.clock.now(), changes[n]))
		for _, p := range parts[first:] {
			size += len(p)
		}
	}
	if len(parts) == 1 {
		w.record(parts[0])
		return n
	}
	w.record(appendBatch(nil, parts))
	for _, p := range parts {
		clear(p)
	}
	return n
}

// place finds the counters of a child SA. One for which none are left is ended:
// without counters it would use numbers twice.
func (w *Worker) place(now time.Time, c *sa.Change) bool {
	err := w.children.place(c)
	if err == nil && !w.children.has(c.Child.ID) {
		return false // it never had any, and this is about its end
	}
	if err != nil {
		w.log.Error("no counters for a child SA", "child", c.Child.ID, "reason", err)
		w.command(now, exchange.DeleteChild{ID: c.Child.ID, Reason: "the context has no counters left for it"})
		return false
	}
	return true
}

// record appends an entry to the journal, and gives it to the twin. It returns
// 0 where the journal has no room for it: then the twin does not get it either,
// and needs a snapshot.
func (w *Worker) record(payload []byte) journal.Position {
	p, err := w.ledger.append(payload, w.snapshot)
	if err != nil {
		w.log.Error("journal cannot be written; a restart would lose SAs", "reason", err)
		clear(payload)
		if w.twin != nil {
			w.twin.estrange(w)
		}
		return 0
	}
	w.twin.take(payload)
	return p
}

// tidy keeps the journal from growing far over the state that it describes.
func (w *Worker) tidy() {
	if err := w.ledger.tidy(w.snapshot); err != nil {
		w.log.Error("journal cannot be written; a restart would lose SAs", "reason", err)
	}
}

// install brings one change to the data plane.
func (w *Worker) install(r *exchange.Record) {
	switch {
	case r.Child != nil:
		w.apply(r.Child)
	case r.Kind == exchange.RecordIKE && r.Replaces != 0:
		w.children.inherit(r.Replaces, r.SPI)
	case r.Kind == exchange.RecordIKEDown:
		for _, c := range w.children.of(r.SPI) {
			w.apply(&c)
		}
		delete(w.past, r.SPI)
	}
}

// apply gives one change to the data plane. The bytes of a child SA that goes
// stay with its session.
func (w *Worker) apply(c *sa.Change) {
	if c.Op == sa.OpDelete {
		facts := w.factsOf(c.Child.ID)
		w.keepSession(w.sessions.Account(handleOf(w.children.byID[c.Child.ID].owner), facts.BytesIn, facts.BytesOut))
	}
	if err := w.plane.Apply(c); err != nil {
		w.log.Error("data plane refuses a child SA", "child", c.Child.ID, "op", c.Op.String(), "reason", err)
	}
	w.children.done(c)
	w.standing.change(c)
	if c.Op.Installs() {
		w.enforce(c.Child.ID)
	}
}

// snapshot yields the entries that say the whole state.
func (w *Worker) snapshot(yield func([]byte) bool) {
	for a, identity := range w.sessions.Pools().Habits {
		if !yield(appendHabit(nil, habitEntry{addr: a, identity: identity})) {
			return
		}
	}
	now := w.clock.now()
	w.engine.Snapshot(func(r exchange.Record) bool {
		if r.Child != nil {
			if !w.children.has(r.Child.Child.ID) {
				return true // it is being ended: see place
			}
			w.children.fill(r.Child)
			if w.twin != nil && !yield(appendCounters(nil, w.countersOf(r.Child.Child.ID))) {
				return false
			}
		}
		if !yield(appendRecord(nil, now, r)) {
			return false
		}
		past, ok := w.past[r.SPI]
		return !ok || r.Kind != exchange.RecordIKE || yield(appendSession(nil, now, past))
	})
}

package worker

import (
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike"
)

// carry does what the engine asked for: changes are journalled and installed,
// then messages leave, then events are told. An answer to an event may ask for
// more; carry ends when nothing is left.
func (w *Worker) carry(now time.Time) {
	for len(w.out.Changes)+len(w.out.Send)+len(w.out.Events) > 0 {
		out := w.out
		w.out = ike.Output{}
		w.commit(now, out.Changes)
		w.twin.dispatch(w, out.Send)
		for _, e := range out.Events {
			w.publish(now, e)
		}
	}
}

// send lets messages leave.
func (w *Worker) send(messages []ike.Datagram) {
	for _, d := range messages {
		if err := w.plane.SendIKE(d.Local, d.Remote, d.Payload); err != nil {
			w.log.Debug("message not sent", "peer", d.Remote, "reason", err)
		}
	}
}

// commit makes the changes durable and installs the child SAs in them.
func (w *Worker) commit(now time.Time, changes []ike.Record) {
	if len(changes) == 0 {
		return
	}
	for i := range changes {
		if c := changes[i].Child; c != nil {
			if err := w.children.place(c); err != nil {
				w.log.Error("no counters for a child SA", "child", c.Child.ID, "reason", err)
			}
		}
	}
	for i := range changes {
		// How far a child may count comes before the child: nobody holds one
		// without the other.
		if c := changes[i].Child; c != nil && (c.Op == sa.OpAdd || c.Op == sa.OpRekey) && w.twin != nil {
			w.twin.reserve(w, c)
		}
		w.record(appendRecord(nil, changes[i]))
		w.install(&changes[i])
	}
	if err := w.ledger.tidy(w.snapshot); err != nil {
		w.log.Error("journal cannot be written; a restart would lose SAs", "reason", err)
	}
	w.twin.feed(now)
}

// record appends an entry to the journal, and gives it to the twin.
func (w *Worker) record(payload []byte) journal.Position {
	p, err := w.ledger.append(payload, w.snapshot)
	if err != nil {
		w.log.Error("journal cannot be written; a restart would lose SAs", "reason", err)
	}
	w.twin.take(payload)
	return p
}

// install brings one change to the data plane.
func (w *Worker) install(r *ike.Record) {
	switch {
	case r.Child != nil:
		w.apply(r.Child)
	case r.Kind == ike.RecordIKE && r.Replaces != 0:
		w.children.inherit(r.Replaces, r.SPI)
	case r.Kind == ike.RecordIKEDown:
		for _, c := range w.children.of(r.SPI) {
			w.apply(&c)
		}
	}
}

// apply gives one change to the data plane. The bytes of a child SA that goes
// stay with its session.
func (w *Worker) apply(c *sa.Change) {
	if c.Op == sa.OpDelete {
		if s := w.sessions.bySPI[w.children.byID[c.Child.ID].owner]; s != nil {
			facts := w.factsOf(c.Child.ID)
			s.bytesIn += facts.BytesIn
			s.bytesOut += facts.BytesOut
		}
	}
	if err := w.plane.Apply(c); err != nil {
		w.log.Error("data plane refuses a child SA", "child", c.Child.ID, "op", c.Op.String(), "reason", err)
	}
	w.children.done(c)
	if c.Op == sa.OpAdd || c.Op == sa.OpRekey {
		w.enforce(c.Child.ID)
	}
}

// snapshot yields the entries that say the whole state.
func (w *Worker) snapshot(yield func([]byte) bool) {
	w.engine.Snapshot(func(r ike.Record) bool {
		if r.Child != nil {
			w.children.fill(r.Child)
			if w.twin != nil && !yield(appendCounters(nil, w.countersOf(r.Child.Child.ID))) {
				return false
			}
		}
		return yield(appendRecord(nil, r))
	})
}

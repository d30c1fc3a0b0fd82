package worker

import (
	"math"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike/exchange"
)

// countersAtOnce bounds of how many child SAs the counters are told at a time;
// more take turns.
const countersAtOnce = 1000

// raise is a reservation that waits for the twin's acknowledgement.
type raise struct {
	position journal.Position
	child    uint64
	limit    uint64
}

// bounds returns by how much the sequence numbers of a child SA are reserved at
// a time, and the highest one there is.
func bounds(extended bool) (block, most uint64) {
	if extended {
		return journal.BlockLong, math.MaxUint64 - 1
	}
	return journal.BlockShort, math.MaxUint32
}

// reserve gives a new child SA its first sequence numbers, and returns the entry
// that says so.
func (t *twin) reserve(w *Worker, c *sa.Change) []byte {
	p := w.children.byID[c.Child.ID]
	p.reservation = journal.Reserve(t.epoch, p.block)
	p.since = t.sender.Next()
	w.children.byID[c.Child.ID] = p
	return appendCounters(nil, counterEntry{child: c.Child.ID, reservation: p.reservation})
}

// enforce makes the data plane keep the first reservation of a child SA.
func (w *Worker) enforce(id uint64) {
	if p, ok := w.children.byID[id]; ok && p.reservation.Limit > 0 {
		w.counters.Slot(p.slot).SetOutLimit(p.reservation.Limit)
	}
}

// unbind lets a child SA of a pair go on where there is no twin any more: beyond
// all that was ever reserved, without a limit.
func (w *Worker) unbind(p place) {
	slot := w.counters.Slot(p.slot)
	if p.reservation.Limit > 0 {
		slot.SkipOut(p.reservation.Limit + 1)
	}
	slot.SetOutLimit(0)
}

// extend raises the reservation of a child SA that has used most of it. Where
// the twin knows the child and cannot be asked, the child is rekeyed.
func (w *Worker) extend(now time.Time, id uint64) {
	t := w.twin
	p, ok := w.children.byID[id]
	if t == nil || !ok || !t.active || t.raising(id) {
		return
	}
	next, ok := p.reservation.Raise(p.block, p.most)
	if !ok {
		w.command(now, exchange.RekeyChild{ID: id})
		return
	}
	p.reservation = next
	w.children.byID[id] = p
	t.ask(w, id)
	t.feed(now)
	t.raised(w)
	if t.session == nil && t.raising(id) {
		w.command(now, exchange.RekeyChild{ID: id})
	}
}

// raising reports whether a raise for a child SA is on its way.
func (t *twin) raising(id uint64) bool {
	return slices.ContainsFunc(t.raises, func(r raise) bool { return r.child == id })
}

// ask tells the twin how far a child SA is reserved. What is beyond the limit in
// the counter memory is used once that is granted.
func (t *twin) ask(w *Worker, id uint64) {
	p := w.children.byID[id]
	position := w.record(appendCounters(nil, w.countersOf(id)))
	if position > 0 && p.reservation.Limit > w.counters.Slot(p.slot).OutLimit() {
		t.raises = append(t.raises, raise{position, id, p.reservation.Limit})
	}
}

// raised puts granted reservations into effect.
func (t *twin) raised(w *Worker) {
	waiting := t.raises[:0]
	for _, r := range t.raises {
		p, ok := w.children.byID[r.child]
		switch {
		case !ok:
		case t.sender.Granted(p.since, r.position):
			w.counters.Slot(p.slot).SetOutLimit(r.limit)
		default:
			waiting = append(waiting, r)
		}
	}
	t.raises = waiting
}

// countersOf returns the counters entry of a child SA as it is now.
func (w *Worker) countersOf(id uint64) counterEntry {
	return counterEntry{child: id, reservation: w.children.byID[id].reservation, facts: w.factsOf(id)}
}

// tellCounters tells the twin of child SAs that had traffic since the last
// time.
func (w *Worker) tellCounters(now time.Time) {
	t := w.twin
	if t == nil || !t.active || !t.sender.InStep() {
		return
	}
	told := 0
	for id, p := range w.children.byID {
		facts := w.factsOf(id)
		if facts.PacketsIn+facts.PacketsOut == p.told {
			continue
		}
		p.told = facts.PacketsIn + facts.PacketsOut
		w.children.byID[id] = p
		w.record(appendCounters(nil, w.countersOf(id)))
		if told++; told == countersAtOnce {
			break
		}
	}
	w.tidy()
	t.feed(now)
}

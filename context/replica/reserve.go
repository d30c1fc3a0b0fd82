package replica

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
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

// continues reports whether the journal belongs to the activation with epoch:
// a worker was replaced by another one on the same node.
func (s *store) continues(epoch uint64) bool {
	id := s.journal.store.Stream()
	return binary.BigEndian.Uint64(id[:8]) == epoch && !s.journal.store.Torn()
}

// jump moves the outbound sequence numbers of a child SA beyond all that an
// earlier activation may have used. Within one activation the counter memory
// says how far they may go.
func (s *store) jump(c *child, epoch uint64) {
	slot := s.counters.Slot(c.slot)
	facts := slot.Facts()
	c.heard, c.sent, c.taken = facts.LastIn, facts.LastOut, facts.SequenceIn
	if c.reservation.Epoch == epoch {
		if slot.OutLimit() == 0 { // its worker died before it sent anything
			slot.SetOutLimit(c.reservation.Limit)
		}
		return
	}
	first, next, ok := c.reservation.Takeover(epoch, c.block, c.most)
	if !ok { // nothing is left: the first packet asks for a rekey
		first, next = c.most+1, journal.Reservation{Epoch: epoch, Limit: c.most}
	}
	slot.SkipOut(first)
	slot.SetOutLimit(next.Limit)
	c.reservation = next
}

// unbind lets a child SA of a pair go on where there is no twin any more: beyond
// all that was ever reserved, without a limit.
func (s *store) unbind(c *child) {
	slot := s.counters.Slot(c.slot)
	if c.reservation.Limit > 0 {
		slot.SkipOut(c.reservation.Limit + 1)
	}
	slot.SetOutLimit(0)
}

// reserve gives a new child SA its first sequence numbers, and returns what says so.
func (a *active) reserve(ch *sa.Change) *counterEntry {
	c := a.store.slots.byID[ch.Child.ID]
	c.reservation = journal.Reserve(a.twin.epoch, c.block)
	c.since = a.sender.Next()
	return &counterEntry{child: ch.Child.ID, reservation: c.reservation}
}

// raise raises the reservation of a child SA that has used most of it.
func (a *active) raise(now time.Time, id uint64) error {
	c := a.store.slots.byID[id]
	if c == nil || a.raising(id) {
		return nil
	}
	next, ok := c.reservation.Raise(c.block, c.most)
	if !ok {
		return ErrExhausted
	}
	c.reservation = next
	a.ask(id)
	a.feed(now)
	a.raised()
	if a.twin.session == nil && a.raising(id) {
		return ErrExhausted
	}
	return nil
}

// raising reports whether a raise for a child SA is on its way.
func (a *active) raising(id uint64) bool {
	return slices.ContainsFunc(a.raises, func(r raise) bool { return r.child == id })
}

// ask tells the twin how far a child SA is reserved. What is beyond the limit in
// the counter memory is used once that is granted.
func (a *active) ask(id uint64) {
	c := a.store.slots.byID[id]
	position := a.record(appendCounters(nil, a.store.countersOf(id)))
	if position > 0 && c.reservation.Limit > a.store.counters.Slot(c.slot).OutLimit() {
		a.raises = append(a.raises, raise{position, id, c.reservation.Limit})
	}
}

// raised puts granted reservations into effect.
func (a *active) raised() {
	waiting := a.raises[:0]
	for _, r := range a.raises {
		c := a.store.slots.byID[r.child]
		switch {
		case c == nil:
		case a.sender.Granted(c.since, r.position):
			a.store.counters.Slot(c.slot).SetOutLimit(r.limit)
		default:
			waiting = append(waiting, r)
		}
	}
	a.raises = waiting
}

// tellCounters tells the twin of child SAs that had traffic since the last
// time.
func (a *active) tellCounters(now time.Time) {
	if !a.sender.InStep() {
		return
	}
	told := 0
	for id, c := range a.store.slots.byID {
		facts := a.store.facts(id)
		if facts.PacketsIn+facts.PacketsOut == c.told {
			continue
		}
		c.told = facts.PacketsIn + facts.PacketsOut
		a.record(appendCounters(nil, a.store.countersOf(id)))
		if told++; told == countersAtOnce {
			break
		}
	}
	a.store.tidy()
	a.feed(now)
}

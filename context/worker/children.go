package worker

import (
	"errors"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
)

// errNoSlot is returned when every counter slot is taken.
var errNoSlot = errors.New("worker: all counter slots are taken")

// children remembers for each installed child SA which counters it has and
// which IKE SA made it. The engine knows nothing of slots.
type children struct {
	byID  map[uint64]place
	early map[uint64]counterEntry // counters that came before their child
	free  []uint32                // given back, to be used again
	next  uint32                  // the lowest slot that was never used
	slots uint32
}

// place is where a child SA stands.
type place struct {
	slot  uint32
	owner uint64 // our SPI of the IKE SA
	// What its counters said of the last packets in and out when they were looked
	// at last. Only whether it has changed counts: it is the wall clock's.
	heard, sent int64

	// With a twin: how far outbound sequence numbers are reserved, by how much
	// at a time and up to which one; the position of the child's first entry
	// (0: it is older than the stream); and the packets that the twin knows of.
	reservation journal.Reservation
	block, most uint64
	since       journal.Position
	told        uint64
	taken       uint64 // the highest inbound number that was known at the takeover
}

func newChildren(slots int) *children {
	return &children{byID: make(map[uint64]place), early: make(map[uint64]counterEntry), slots: uint32(slots)}
}

// place fills in the slot of a change; a child SA that is added gets one.
func (c *children) place(ch *sa.Change) error {
	if _, ok := c.byID[ch.Child.ID]; ok || !ch.Op.Installs() {
		c.fill(ch)
		return nil
	}
	slot := c.next
	switch n := len(c.free); {
	case n > 0:
		slot, c.free = c.free[n-1], c.free[:n-1]
	case c.next == c.slots:
		return errNoSlot
	default:
		c.next++
	}
	ch.Child.Slot = slot
	c.add(ch)
	return nil
}

// add enters a child SA that has its slot.
func (c *children) add(ch *sa.Change) {
	p := place{slot: ch.Child.Slot, owner: ch.Child.Owner}
	p.block, p.most = bounds(ch.Child.Out.ESN)
	c.byID[ch.Child.ID] = p
}

// has reports whether a child SA has counters.
func (c *children) has(id uint64) bool {
	_, ok := c.byID[id]
	return ok
}

// fill sets the slot of a child SA that has one.
func (c *children) fill(ch *sa.Change) { ch.Child.Slot = c.byID[ch.Child.ID].slot }

// done gives the slot of a deleted child SA back.
func (c *children) done(ch *sa.Change) {
	if ch.Op != sa.OpDelete {
		return
	}
	if p, ok := c.byID[ch.Child.ID]; ok {
		delete(c.byID, ch.Child.ID)
		c.free = append(c.free, p.slot)
	}
}

// inherit gives the children of one IKE SA to the one that follows it.
func (c *children) inherit(from, to uint64) {
	for id, p := range c.byID {
		if p.owner == from {
			p.owner = to
			c.byID[id] = p
		}
	}
}

// of returns the deletions of all children of an IKE SA.
func (c *children) of(owner uint64) []sa.Change {
	var out []sa.Change
	for id, p := range c.byID {
		if p.owner == owner {
			out = append(out, sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id, Owner: owner, Slot: p.slot}})
		}
	}
	return out
}

// replay takes a change from the journal, where slots are chosen already.
func (c *children) replay(ch *sa.Change) {
	switch ch.Op {
	case sa.OpAdd, sa.OpRekey, sa.OpFollow:
		c.add(ch)
	case sa.OpDelete:
		delete(c.byID, ch.Child.ID)
	}
}

// settle ends the replay: alive are the children of the engine, by ID, with
// their owners. Others went with their IKE SA, which replay does not see.
func (c *children) settle(alive map[uint64]uint64) {
	taken := make(map[uint32]bool, len(alive))
	for id, p := range c.byID {
		owner, ok := alive[id]
		if !ok {
			delete(c.byID, id)
			continue
		}
		p.owner = owner
		c.byID[id] = p
		taken[p.slot] = true
		c.next = max(c.next, p.slot+1)
	}
	for slot := range c.next {
		if !taken[slot] {
			c.free = append(c.free, slot)
		}
	}
}

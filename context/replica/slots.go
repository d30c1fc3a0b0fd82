package replica

import (
	"errors"
	"maps"
	"slices"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/failover/journal"
)

// errNoSlot is returned when every counter slot is taken.
var errNoSlot = errors.New("replica: all counter slots are taken")

// slots remembers for each child SA which counters it has and which IKE SA made it.
// The engine knows nothing of slots.
type slots struct {
	byID map[uint64]*child
	free []uint32 // given back, to be used again
	next uint32   // the lowest slot that was never used
	most uint32

	// former are the child SAs of the copy that another one takes the place of: the
	// slots of those that are in both stay, all others are free for the new ones.
	former map[uint64]*child
}

// child is where a child SA stands.
type child struct {
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

func newSlots(n int) *slots {
	return &slots{byID: make(map[uint64]*child), most: uint32(n)}
}

// renew returns slots for another copy, which takes the place of this one once it is
// complete. Nothing that s says changes until then.
func (s *slots) renew() *slots {
	n := newSlots(int(s.most))
	n.free, n.next, n.former = slices.Clone(s.free), s.next, maps.Clone(s.byID)
	return n
}

// place fills in the slot of a change; a child SA that is added gets one.
func (s *slots) place(ch *sa.Change) error {
	id := ch.Child.ID
	if c := s.former[id]; c != nil && ch.Op.Installs() {
		delete(s.former, id)
		s.byID[id] = c
	}
	if s.has(id) || !ch.Op.Installs() {
		s.fill(ch)
		return nil
	}
	slot, err := s.take()
	if err != nil {
		return err
	}
	ch.Child.Slot = slot
	s.add(ch)
	return nil
}

// take returns a slot that no child SA has.
func (s *slots) take() (uint32, error) {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot, nil
	}
	if s.next < s.most {
		s.next++
		return s.next - 1, nil
	}
	for id, c := range s.former {
		delete(s.former, id)
		return c.slot, nil
	}
	return 0, errNoSlot
}

// add enters a child SA that has its slot.
func (s *slots) add(ch *sa.Change) {
	c := &child{slot: ch.Child.Slot, owner: ch.Child.Owner}
	c.block, c.most = bounds(ch.Child.Out.ESN)
	s.byID[ch.Child.ID] = c
}

// has reports whether a child SA has counters.
func (s *slots) has(id uint64) bool {
	_, ok := s.byID[id]
	return ok
}

// hasAt reports whether a child SA has the counters of a slot.
func (s *slots) hasAt(id uint64, slot uint32) bool {
	c := s.byID[id]
	return c != nil && c.slot == slot
}

// fill sets the slot of a child SA that has one.
func (s *slots) fill(ch *sa.Change) {
	if c := s.byID[ch.Child.ID]; c != nil {
		ch.Child.Slot = c.slot
	}
}

// reserve notes how far the outbound numbers of a child SA are reserved.
func (s *slots) reserve(id uint64, r journal.Reservation) {
	if c := s.byID[id]; c != nil {
		c.reservation = r
	}
}

// done gives the slot of a deleted child SA back.
func (s *slots) done(ch *sa.Change) {
	if ch.Op != sa.OpDelete {
		return
	}
	if c := s.byID[ch.Child.ID]; c != nil {
		delete(s.byID, ch.Child.ID)
		s.free = append(s.free, c.slot)
	}
}

// inherit gives the children of one IKE SA to the one that follows it.
func (s *slots) inherit(from, to uint64) {
	for _, c := range s.byID {
		if c.owner == from {
			c.owner = to
		}
	}
}

// of returns the deletions of all children of an IKE SA.
func (s *slots) of(owner uint64) []sa.Change {
	var out []sa.Change
	for id, c := range s.byID {
		if c.owner == owner {
			out = append(out, sa.Change{Op: sa.OpDelete, Child: sa.Child{ID: id, Owner: owner, Slot: c.slot}})
		}
	}
	return out
}

// replay takes a change from the journal of this node, where slots are chosen
// already. A slot that is not in the counter memory is an error.
func (s *slots) replay(ch *sa.Change) error {
	switch {
	case ch.Op == sa.OpDelete:
		delete(s.byID, ch.Child.ID)
	case !ch.Op.Installs():
	case ch.Child.Slot >= s.most:
		return errNoSlot
	default:
		s.add(ch)
	}
	return nil
}

// reconcile ends a replay: alive are the child SAs of the engine, by ID, with their
// owners. Others are dropped: their IKE SA was deleted, which has no record for each of
// its children.
func (s *slots) reconcile(alive map[uint64]uint64) {
	s.free, s.former = nil, nil
	taken := make(map[uint32]bool, len(alive))
	for id, c := range s.byID {
		owner, ok := alive[id]
		if !ok {
			delete(s.byID, id)
			continue
		}
		c.owner = owner
		taken[c.slot] = true
		s.next = max(s.next, c.slot+1)
	}
	for slot := range s.next {
		if !taken[slot] {
			s.free = append(s.free, slot)
		}
	}
}

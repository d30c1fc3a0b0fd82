package plane

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// child is one installed child SA. It is a Carrier.
type child struct {
	esp          *espSide
	link         Link
	id, replaces uint64
	slot         *esp.Slot
	slotIndex    uint32
	bytesLimit   uint64
	path         atomic.Pointer[path]
	waits        atomic.Bool // for the peer to use it, before outbound traffic does
	// What has followed it, and those of these that wait for it to go; the lock of the ESP
	// side guards them.
	heirs, successors []*child

	// outMu and inMu keep the two directions to one pipeline each, for a run of
	// packets; where there is a crew, the locks in crew stand for them. A deleted
	// child has neither half. Lock order: outMu before crew.outMu, inMu before
	// crew.inMu; those of two directions are never held together.
	outMu     sync.Mutex
	out       *esp.Outbound
	lastLimit atomic.Uint64 // reservation: the limit last seen, and when to ask for more
	askAt     atomic.Uint64

	inMu sync.Mutex
	in   *esp.Inbound

	crew   *crewState // where there is no crew, all child SAs have the same
	outSPI sa.SPI
	toldAt [ReportPathMTU + 1]atomic.Uint32 // Unix seconds of the last report of each kind
}

// MTU implements Carrier.
func (c *child) MTU(v6 bool) int { return c.path.Load().mtuOf(v6) }

// Blocked implements Carrier: by a local address without a socket, or at the
// volume limit.
func (c *child) Blocked(now int64) (why stats.Counter, blocked bool) {
	if c.path.Load().outer == nil {
		return stats.DropNoSocket, true
	}
	if bytes := c.slot.BytesOut(); c.bytesLimit > 0 && bytes >= c.bytesLimit {
		c.esp.checkVolume(c, bytes, now)
		return stats.DropVolume, true
	}
	return 0, false
}

// apply is Plane.Apply.
func (e *espSide) apply(c *sa.Change) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch c.Op {
	case sa.OpAdd:
		return e.addLocked(&c.Child, 0, false)
	case sa.OpRekey:
		return e.addLocked(&c.Child, c.Replaces, false)
	case sa.OpFollow:
		return e.addLocked(&c.Child, c.Replaces, true)
	case sa.OpMove:
		ch := e.children[c.Child.ID]
		if ch == nil {
			return fmt.Errorf("plane: moving child SA %d: there is none", c.Child.ID)
		}
		e.moveLocked(ch, &c.Child)
		return nil
	case sa.OpDelete:
		e.deleteLocked(c.Child.ID)
		return nil
	}
	return fmt.Errorf("plane: unknown change %v", c.Op)
}

// moveLocked gives an installed child the addresses of c.
func (e *espSide) moveLocked(ch *child, c *sa.Child) {
	ch.path.Store(e.newPathLocked(c, ch.out.MaxInner))
	ch.toldAt[ReportMoved].Store(0)
}

// addLocked installs c, or moves it where it is installed already. Outbound traffic of
// the child SA that it replaces moves to it: at once, or where follows is set, when the
// peer has used c.
func (e *espSide) addLocked(c *sa.Child, replaces uint64, follows bool) error {
	if ch := e.children[c.ID]; ch != nil {
		e.moveLocked(ch, c)
		return nil
	}
	e.freeLocked(c.In.SPI)
	if err := e.checkLocked(c); err != nil {
		return fmt.Errorf("plane: child SA %d: %w", c.ID, err)
	}
	ch, err := e.newChildLocked(c, replaces)
	if err != nil {
		return fmt.Errorf("plane: child SA %d: %w", c.ID, err)
	}
	if err := e.tun.attach(c.ID, c.Local, c.Remote, &ch.link); err != nil {
		ch.out.Clear()
		ch.in.Clear()
		e.counters.Release(c.Slot)
		return fmt.Errorf("plane: child SA %d: %w", c.ID, err)
	}
	e.children[c.ID] = ch
	e.peerSPIs[ch.outSPI] = append(e.peerSPIs[ch.outSPI], ch)
	e.spis.Set(c.In.SPI, ch)
	if old := e.children[replaces]; old != nil {
		old.heirs = append(old.heirs, ch)
	}
	if old := e.children[replaces]; follows && old != nil {
		ch.waits.Store(true)
		old.successors = append(old.successors, ch)
		e.tun.demote(c.ID, true)
		return nil
	}
	e.tun.demote(replaces, true)
	return nil
}

// checkLocked reports what keeps c from being installed.
func (e *espSide) checkLocked(c *sa.Child) error {
	if c.ID == 0 || !c.RemoteAddr.IsValid() || !c.LocalAddr.IsValid() {
		return fmt.Errorf("incomplete between %v and %v", c.LocalAddr, c.RemoteAddr)
	}
	if e.spis.Find(c.In.SPI) != nil {
		return fmt.Errorf("SPI %v is in use", c.In.SPI)
	}
	slot := e.counters.Slot(c.Slot)
	if slot == nil {
		return fmt.Errorf("counter slot %d of %d", c.Slot, e.counters.Len())
	}
	if owner := slot.Owner(); owner != c.ID && e.children[owner] != nil {
		return fmt.Errorf("counter slot %d belongs to child SA %d", c.Slot, owner)
	}
	return nil
}

// newChildLocked makes a child SA with its halves, and claims its slot.
func (e *espSide) newChildLocked(c *sa.Child, replaces uint64) (*child, error) {
	if _, err := e.counters.Claim(c.Slot, c.ID, c.ReplayWindow); err != nil {
		return nil, err
	}
	out, err := esp.NewOutbound(c, e.counters)
	var in *esp.Inbound
	if err == nil {
		in, err = esp.NewInbound(c, e.counters)
	}
	if err != nil {
		e.counters.Release(c.Slot)
		return nil, err
	}
	ch := &child{
		esp: e, id: c.ID, replaces: replaces, slot: e.counters.Slot(c.Slot), slotIndex: c.Slot,
		bytesLimit: c.BytesLimit,
		out:        out, in: in, outSPI: c.Out.SPI, crew: e.crew.newState(),
	}
	ch.link.carrier, ch.link.spi, ch.link.id = ch, c.Out.SPI, c.ID
	ch.path.Store(e.newPathLocked(c, out.MaxInner))
	return ch, nil
}

// peerUses moves outbound traffic to c, which the peer has used.
func (e *espSide) peerUses(c *child) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.waits.Swap(false) && e.children[c.id] == c {
		e.tun.demote(c.id, false)
		e.tun.demote(c.replaces, true)
	}
}

// promoteLocked moves outbound traffic to the first of what has followed a child that is
// gone. Where there are more, because both ends have rekeyed it, those follow the first.
func (e *espSide) promoteLocked(successors []*child) {
	alive := slices.DeleteFunc(successors, func(c *child) bool { return e.children[c.id] != c })
	if len(alive) == 0 {
		return
	}
	first, rest := alive[0], alive[1:]
	if first.waits.Swap(false) {
		e.tun.demote(first.id, false)
	}
	for _, c := range rest {
		c.replaces = first.id
	}
	first.successors = append(first.successors, rest...)
}

func (e *espSide) deleteLocked(id uint64) {
	ch := e.children[id]
	if ch == nil {
		return
	}
	delete(e.children, id)
	if left := slices.DeleteFunc(e.peerSPIs[ch.outSPI], func(o *child) bool { return o == ch }); len(left) > 0 {
		e.peerSPIs[ch.outSPI] = left
	} else {
		delete(e.peerSPIs, ch.outSPI)
	}
	e.tun.detach(id)
	e.tun.demote(ch.replaces, false) // the old pair, if it outlives the new one
	e.promoteLocked(ch.successors)
	ch.crew.drain()
	ch.outMu.Lock()
	ch.crew.outMu.Lock()
	ch.out.Clear()
	ch.crew.outs.each((*esp.Outbound).Clear)
	ch.out, ch.crew.outs = nil, nil
	ch.crew.outMu.Unlock()
	ch.outMu.Unlock()
	heir := e.heirLocked(ch)
	e.takeInLocked(ch, func(in *esp.Inbound) {
		if heir != nil {
			e.retainLocked(ch, heir, in)
			return
		}
		e.spis.Set(in.SPI(), nil)
		in.Clear()
	})
	e.passLocked(ch, heir)
	e.counters.Release(ch.slotIndex)
}

// advanceIn is Plane.AdvanceIn.
func (e *espSide) advanceIn(id, seq uint64) {
	ch := e.child(id)
	if ch == nil {
		return
	}
	ch.inMu.Lock()
	defer ch.inMu.Unlock()
	ch.crew.inMu.Lock()
	defer ch.crew.inMu.Unlock()
	w := e.counters.Window(ch.slotIndex)
	if ch.in != nil && seq > w.Top() {
		w.Advance(seq)
	}
}

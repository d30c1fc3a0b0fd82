package plane

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/sa"
)

// lateTime is how long the inbound half of a child SA that another one has followed
// outlives it: packets may be on their way when the peer says that it has gone.
const lateTime = 5 * time.Second

// late is the inbound half of a child SA that is gone.
type late struct {
	child *child // with counters of its own: the slot is another one's
	heir  *child // that has followed it: without one nothing is late
	until time.Time
}

// heirLocked returns what has followed c and is still there; nil: nothing is.
func (e *espSide) heirLocked(c *child) *child {
	for _, h := range slices.Backward(c.heirs) {
		if e.children[h.id] == h {
			return h
		}
	}
	return nil
}

// retainLocked keeps in, the inbound half of c, for a while. The caller holds the
// locks of that half, and lets c have it no more.
func (e *espSide) retainLocked(c, heir *child, in *esp.Inbound) {
	l := &child{esp: e, id: c.id, outSPI: c.outSPI, crew: e.crew.newState()}
	l.in, l.slot = in.Detach()
	l.link.carrier, l.link.spi, l.link.id = l, c.link.spi, c.id
	l.path.Store(c.path.Load())
	e.spis.Set(in.SPI(), l)
	e.late = append(e.late, late{l, heir, e.now().Add(lateTime)})
	e.lateTimer.Reset(lateTime)
}

// passLocked says that c is gone. What is late stays for the heir of c; nil: it ends.
func (e *espSide) passLocked(c, heir *child) {
	for i := range e.late {
		if e.late[i].heir == c {
			e.late[i].heir = heir
		}
	}
	e.endLateLocked(func(l *late) bool { return l.heir == nil })
}

// endLate ends what has been late for too long, and comes again for the next.
func (e *espSide) endLate() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.endLateLocked(func(l *late) bool { return !now.Before(l.until) })
	if len(e.late) > 0 {
		e.lateTimer.Reset(max(e.late[0].until.Sub(now), 0))
	}
}

// freeLocked makes room for a child SA whose SPI is that of one that is late.
func (e *espSide) freeLocked(spi sa.SPI) {
	e.endLateLocked(func(l *late) bool { return l.child.in.SPI() == spi })
}

// endLateLocked ends what is late and over.
func (e *espSide) endLateLocked(over func(*late) bool) {
	e.late = slices.DeleteFunc(e.late, func(l late) bool {
		if !over(&l) {
			return false
		}
		e.takeInLocked(l.child, func(in *esp.Inbound) {
			e.spis.Set(in.SPI(), nil)
			in.Clear()
		})
		return true
	})
}

// takeInLocked takes the inbound half of c away and gives it to do, while no packet is
// opened with it.
func (e *espSide) takeInLocked(c *child, do func(in *esp.Inbound)) {
	c.inMu.Lock()
	c.crew.inMu.Lock()
	do(c.in)
	c.crew.ins.each((*esp.Inbound).Clear)
	c.in, c.crew.ins = nil, nil
	c.crew.inMu.Unlock()
	c.inMu.Unlock()
}

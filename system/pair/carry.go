package pair

import (
	"context"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
)

// carry does what an Output says, in the order that it documents.
func (p *Pair) carry(ctx context.Context, out *failover.Output) {
	for refused := p.remember(out.Remember); len(refused) > 0; {
		// Nothing of out has happened yet. Groups whose epochs are not on disk
		// do not become active, and what the peer would have been told is told again.
		out.Send = nil
		var more failover.Output
		for group, reason := range refused {
			p.node.Unwritten(time.Now(), group, reason, &more)
		}
		out.Changes = append(out.Changes, more.Changes...)
		out.Quiesce, out.Announce = append(out.Quiesce, more.Quiesce...), more.Announce
		out.Send, out.Events = more.Send, append(out.Events, more.Events...)
		refused = p.remember(more.Remember)
	}
	p.change(ctx, out.Changes)
	p.announce(out.Announce)
	for _, q := range out.Quiesce {
		p.quiesce(ctx, q)
	}
	for _, d := range out.Send {
		if err := p.send(d); err != nil {
			p.log.Debug("heartbeat not sent", "reason", err)
		}
	}
	for _, e := range out.Events {
		p.tell(e)
	}
}

// announce lets contexts announce their addresses, unless they still do.
func (p *Pair) announce(groups []string) {
	var list []*member
	for _, group := range groups {
		list = append(list, p.byGroup[group]...)
	}
	if len(list) == 0 {
		return
	}
	select {
	case p.announcing <- struct{}{}:
	default:
		return
	}
	p.async("the announcement of addresses", func() {
		defer func() { <-p.announcing }()
		for _, m := range list {
			m.gateway.Announce()
		}
	})
}

// remember writes epochs down: those that are used now at once, and it returns
// the groups whose epochs could not be written, and why. The others are written
// behind the back of run, so that no takeover waits for a disk.
func (p *Pair) remember(list []failover.Remember) (refused map[string]string) {
	now, later := make(map[string]uint64), make(map[string]uint64)
	for _, r := range list {
		if r.Now {
			now[r.Group] = max(now[r.Group], r.Epoch)
		} else {
			later[r.Group] = max(later[r.Group], r.Epoch)
		}
	}
	if len(later) > 0 {
		p.async("the epochs of failover groups", func() {
			if err := p.epochs.set(later); err != nil {
				p.log.Error("epochs not written down", "count", len(later), "reason", err)
				return
			}
			p.post(func(time.Time, *failover.Output) {
				for group, epoch := range later {
					p.node.Remembered(group, epoch)
				}
			})
		})
	}
	if len(now) == 0 {
		return nil // and waits for no disk
	}
	if err := p.epochs.set(now); err != nil {
		p.log.Error("epochs not written down", "count", len(now), "reason", err)
		refused = make(map[string]string)
		for group := range now {
			refused[group] = err.Error()
		}
	}
	return refused
}

// change makes the contexts play their new roles, and waits for none of them. Of
// several changes of one group the last counts.
func (p *Pair) change(ctx context.Context, list []failover.RoleChange) {
	last := make(map[string]failover.RoleChange)
	for _, c := range list {
		last[c.Group] = c
		if c.To == failover.RoleActive {
			p.floor[c.Group] = max(p.floor[c.Group], c.Epoch)
		}
	}
	if len(last) == 0 {
		return
	}
	for _, c := range last {
		p.mu.Lock()
		served := p.roles[c.Group] == failover.RoleActive
		p.roles[c.Group] = c.To
		p.mu.Unlock()
		var playing sync.WaitGroup
		for _, m := range p.byGroup[c.Group] {
			p.play(ctx, m, &playing)
		}
		if c.To == failover.RoleActive {
			delete(p.muting, c.Group)
			continue
		}
		delete(p.quiescing, c.Group)
		if served {
			p.awaitMuted(c.Group, &playing)
		}
	}
	p.changed()
}

// awaitMuted tells the role machine when the contexts of a group have fallen silent,
// unless another change overtakes this one. For each context that is: the change before
// comes to its end, its worker obeys within muteTime or is killed, and the kernel gives
// its addresses back. Nothing bounds what the kernel takes for that; until then the peer
// is told nothing, for a worker that is not known to be silent may be sending.
func (p *Pair) awaitMuted(group string, playing *sync.WaitGroup) {
	p.changes++
	change := p.changes
	p.muting[group] = change
	p.owned.Go(func() {
		playing.Wait()
		p.post(func(now time.Time, out *failover.Output) {
			if p.muting[group] == change {
				delete(p.muting, group)
				p.node.Muted(now, group, out)
			}
		})
	})
}

// muteTime is what a worker gets to fall silent.
func (p *Pair) muteTime() time.Duration { return max(p.cfg.Hold/2, shortestMute) }

// quiesce asks the workers of a group to finish what they have begun.
func (p *Pair) quiesce(ctx context.Context, q failover.Quiesce) {
	delete(p.quiescing, q.Group)
	waiting := make(map[string]bool)
	for _, m := range p.byGroup[q.Group] {
		if !q.Cancel && m.worker.Status().Ready {
			waiting[m.name] = true
		}
		p.async("the end of what a worker has begun", func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if err := m.worker.Quiesce(ctx, control.Quiesce{Cancel: q.Cancel}); err != nil {
				p.quiesced(m.name)
			}
		})
	}
	if q.Cancel {
		return
	}
	p.quiescing[q.Group] = waiting
	if len(waiting) == 0 {
		p.owned.Go(func() { p.quiesced("") })
	}
}

// quiesced says that a worker has finished; the last one finishes its group.
func (p *Pair) quiesced(tenant string) {
	p.post(func(now time.Time, out *failover.Output) {
		for group, waiting := range p.quiescing {
			delete(waiting, tenant)
			if len(waiting) == 0 {
				delete(p.quiescing, group)
				p.node.Quiesced(now, group, out)
			}
		}
	})
}

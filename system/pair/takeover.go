package pair

import (
	"context"
	"sync"
	"time"

	"github.com/warrenvpn/warren/failover"
)

// takeover makes the contexts of a group play its role: addresses, workers, and the silence
// of those that have stepped back. It belongs to Pair.run.
type takeover struct {
	*machine
	roles   *roles
	members *members
	epochs  *epochLog
	// quiescing are the workers that finish what they have begun, before a handover.
	quiescing *quiescence
	hold      time.Duration
	changed   func() // is told when a context has another role

	muting     map[string]uint64 // by group: the change with which its contexts fall silent
	changes    uint64            // of roles so far
	alone      bool              // the workers know that the peer is away
	announcing chan struct{}     // has room while nobody announces addresses
}

// change makes the contexts play their new roles, and waits for none of them. Of
// several changes of one group the last counts.
func (t *takeover) change(ctx context.Context, list []failover.RoleChange) {
	last := make(map[string]failover.RoleChange)
	for _, c := range list {
		last[c.Group] = c
		if c.To == failover.RoleActive {
			t.epochs.used(c.Group, c.Epoch)
		}
	}
	if len(last) == 0 {
		return
	}
	for _, c := range last {
		served := t.roles.set(c.Group, c.To) == failover.RoleActive
		var playing sync.WaitGroup
		for _, m := range t.members.byGroup[c.Group] {
			t.play(ctx, m, &playing)
		}
		if c.To == failover.RoleActive {
			delete(t.muting, c.Group)
			continue
		}
		t.quiescing.forget(c.Group)
		if served {
			t.awaitMuted(c.Group, &playing)
		}
	}
	t.changed()
}

// notice tells the workers of groups that are active here whether the peer is away: then they
// may serve on for a while when this process ends.
func (t *takeover) notice(ctx context.Context, alone bool) {
	if alone == t.alone {
		return
	}
	t.alone = alone
	var playing sync.WaitGroup
	told := 0
	for group, list := range t.members.byGroup {
		if t.roles.of(group) != failover.RoleActive {
			continue
		}
		for _, m := range list {
			t.play(ctx, m, &playing)
			told++
		}
	}
	t.owned.Go(func() {
		playing.Wait()
		if alone {
			t.log.Info("workers told that the peer is away", "contexts", told)
		} else {
			t.log.Info("workers told that the peer is back", "contexts", told)
		}
	})
}

// awaitMuted tells the role machine when the contexts of a group have fallen silent,
// unless another change overtakes this one. For each context that is: the change before
// comes to its end, its worker obeys within muteTime or is killed, and the kernel gives
// its addresses back. Nothing bounds what the kernel takes for that; until then the peer
// is told nothing, for a worker that is not known to be silent may be sending.
func (t *takeover) awaitMuted(group string, playing *sync.WaitGroup) {
	t.changes++
	change := t.changes
	t.muting[group] = change
	t.owned.Go(func() {
		playing.Wait()
		t.post(func(now time.Time, out *failover.Output) {
			if t.muting[group] == change {
				delete(t.muting, group)
				t.node.Muted(now, group, out)
			}
		})
	})
}

// muteTime is what a worker gets to fall silent.
func (t *takeover) muteTime() time.Duration { return max(t.hold/2, shortestMute) }

// announce lets contexts announce their addresses, unless they still do.
func (t *takeover) announce(groups []string) {
	var list []*member
	for _, group := range groups {
		list = append(list, t.members.byGroup[group]...)
	}
	if len(list) == 0 {
		return
	}
	select {
	case t.announcing <- struct{}{}:
	default:
		return
	}
	t.async("the announcement of addresses", func() {
		defer func() { <-t.announcing }()
		for _, m := range list {
			m.gateway.Announce()
		}
	})
}

package pair

import (
	"time"

	"github.com/warrenvpn/warren/failover"
)

// epochLog keeps what this unit has promised of epochs. It belongs to Pair.run, but for its
// store.
type epochLog struct {
	*machine
	store *epochs
	floor map[string]uint64 // by group: the highest epoch that was ours
}

// used notes that a group is active here with an epoch.
func (l *epochLog) used(group string, epoch uint64) { l.floor[group] = max(l.floor[group], epoch) }

// of returns the epoch that a group plays its role with.
func (l *epochLog) of(group string) uint64 {
	epoch := l.floor[group]
	if l.node != nil {
		_, now := l.node.Role(group)
		epoch = max(epoch, now)
	}
	return epoch
}

// remember writes epochs down: those that are used now at once, and it returns
// the groups whose epochs could not be written, and why. The others are written
// behind the back of run, so that no takeover waits for a disk.
func (l *epochLog) remember(list []failover.Remember) (refused map[string]string) {
	now, later := make(map[string]uint64), make(map[string]uint64)
	for _, r := range list {
		if r.Now {
			now[r.Group] = max(now[r.Group], r.Epoch)
		} else {
			later[r.Group] = max(later[r.Group], r.Epoch)
		}
	}
	if len(later) > 0 {
		l.async("the epochs of failover groups", func() {
			if err := l.store.set(later); err != nil {
				l.log.Error("epochs not written down", "count", len(later), "reason", err)
				return
			}
			l.post(func(time.Time, *failover.Output) {
				for group, epoch := range later {
					l.node.Remembered(group, epoch)
				}
			})
		})
	}
	if len(now) == 0 {
		return nil // and waits for no disk
	}
	if err := l.store.set(now); err != nil {
		l.log.Error("epochs not written down", "count", len(now), "reason", err)
		refused = make(map[string]string)
		for group := range now {
			refused[group] = err.Error()
		}
	}
	return refused
}

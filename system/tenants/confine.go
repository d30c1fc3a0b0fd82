package tenants

import (
	"time"

	"github.com/warrenvpn/warren/resource/cgroup"
	"github.com/warrenvpn/warren/system/events"
)

// regroupRest is how long a control group that was made again is left alone, when
// somebody removes it once more: the regular look finds it.
const regroupRest = time.Second

// confinement is the control group of a context, as its worker is put into it:
// what somebody has removed is made again first.
type confinement struct {
	*cgroup.Group
	t *tenant
}

// Add implements spawn.Group.
func (c confinement) Add(pid int) error {
	c.t.mending.Lock()
	defer c.t.mending.Unlock()
	if _, err := c.t.mendGroupLocked(c.Group); err != nil {
		return err
	}
	return c.Group.Add(pid)
}

// mendGroupLocked makes a group again of which something is missing, with the limits
// of the class, and tells whether it was. The caller has locked mending.
func (t *tenant) mendGroupLocked(g *cgroup.Group) (bool, error) {
	if !g.Missing() {
		return false, nil
	}
	t.mu.Lock()
	limits := cgroup.Limits(t.want.Limits)
	t.mu.Unlock()
	if _, err := t.env.Groups.Create(t.name, limits); err != nil {
		return false, err
	}
	t.regrouped.at = time.Now()
	t.regrouped.count++
	if count, due := t.regrouped.notice.Due(time.Now(), t.regrouped.count); due {
		t.env.Events.Tell(t.log, t.name, &events.GroupMended{Count: uint64(count)})
	}
	return true, nil
}

// restoreGroup makes the control group of the running context again and puts its worker
// into it, where something of it is missing, and tells whether it was.
func (t *tenant) restoreGroup() (mended bool, err error) {
	t.mending.Lock()
	defer t.mending.Unlock()
	t.mu.Lock()
	group, worker, lost := t.group, t.worker, t.unconfined
	t.mu.Unlock()
	if group == nil {
		return false, nil // it is not built, or taken apart
	}
	if mended, err = t.mendGroupLocked(group); err == nil && (mended || lost != "") && worker != nil {
		if pid := worker.Status().PID; pid != 0 {
			err = group.Add(pid)
		}
	}
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	t.mu.Lock()
	was := t.unconfined
	if t.group == group {
		t.unconfined = reason
	}
	t.mu.Unlock()
	if reason != "" && was == "" {
		t.env.Events.Tell(t.log, t.name, &events.GroupLost{Reason: err.Error()})
	}
	if reason != was || mended {
		t.env.Changed()
	}
	return mended, err
}

// lookAtGroup is restoreGroup for who looks of his own accord: again and again, but
// what somebody removes at once not as often.
func (t *tenant) lookAtGroup() {
	t.mending.Lock()
	soon := time.Since(t.regrouped.at) < regroupRest
	t.mending.Unlock()
	if soon {
		return
	}
	_, _ = t.restoreGroup() // which tells
}

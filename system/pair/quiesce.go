package pair

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
)

// quiescence is which workers still finish what they have begun, before their groups are
// handed over. It belongs to Pair.run.
type quiescence struct {
	*machine
	members *members
	waiting map[string]map[string]bool // by group: the contexts that are waited for
}

// begin asks the workers of a group to finish what they have begun.
func (q *quiescence) begin(ctx context.Context, what failover.Quiesce) {
	delete(q.waiting, what.Group)
	waiting := make(map[string]bool)
	for _, m := range q.members.byGroup[what.Group] {
		if !what.Cancel && m.worker.Status().Ready {
			waiting[m.name] = true
		}
		q.async("the end of what a worker has begun", func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if err := m.worker.Quiesce(ctx, control.Quiesce{Cancel: what.Cancel}); err != nil {
				q.done(m.name)
			}
		})
	}
	if what.Cancel {
		return
	}
	q.waiting[what.Group] = waiting
	if len(waiting) == 0 {
		q.owned.Go(func() { q.done("") })
	}
}

// done says that a worker has finished; the last one finishes its group.
func (q *quiescence) done(tenant string) {
	q.post(func(now time.Time, out *failover.Output) {
		for group, waiting := range q.waiting {
			delete(waiting, tenant)
			if len(waiting) == 0 {
				delete(q.waiting, group)
				q.node.Quiesced(now, group, out)
			}
		}
	})
}

// forget waits no more for a group, which has another role.
func (q *quiescence) forget(group string) { delete(q.waiting, group) }

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
	waiting map[string]*waiting // by group
}

// waiting are the contexts of a group that are waited for.
type waiting struct {
	names map[string]bool
	loud  bool // another one cannot be asked
}

// begin asks the workers of a group to finish what they have begun.
func (q *quiescence) begin(ctx context.Context, what failover.Quiesce) {
	delete(q.waiting, what.Group)
	w := &waiting{names: make(map[string]bool)}
	for _, m := range q.members.byGroup[what.Group] {
		if !what.Cancel && m.worker.Status().Ready {
			w.names[m.name] = true
		} else {
			w.loud = true
		}
		q.async("the end of what a worker has begun", func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if err := m.worker.Quiesce(ctx, control.Quiesce{Cancel: what.Cancel}); err != nil {
				q.end(m.name, true)
			}
		})
	}
	if what.Cancel {
		return
	}
	q.waiting[what.Group] = w
	if len(w.names) == 0 {
		q.owned.Go(func() { q.done("") })
	}
}

// done says that a worker has finished; the last one finishes its group.
func (q *quiescence) done(tenant string) { q.end(tenant, false) }

// end is done, of a worker that may not have finished, and is not to be waited for.
func (q *quiescence) end(tenant string, loud bool) {
	q.post(func(now time.Time, out *failover.Output) {
		for group, w := range q.waiting {
			w.loud = w.loud || loud && w.names[tenant]
			if delete(w.names, tenant); len(w.names) > 0 {
				continue
			}
			delete(q.waiting, group)
			if w.loud {
				q.node.Unquiet(now, group, out)
			} else {
				q.node.Quiesced(now, group, out)
			}
		}
	})
}

// forget waits no more for a group, which has another role.
func (q *quiescence) forget(group string) { delete(q.waiting, group) }

package worker

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/resource"
)

// maxWaiting bounds the peers that wait for the answer to a claim. All of them
// have proven who they are.
const maxWaiting = 1024

// admission decides how many sessions of one kind there may be: those that the
// class promises, and beyond them those that the supervisor grants from the
// rest that all contexts share.
type admission struct {
	promised, shared resource.Name
	promise          int64 // 0: nothing is promised
	most             int64 // of the rest; 0: what is left; resource.None: nothing

	within, beyond resource.Meter
	granted        int64                 // of the rest, as the supervisor has said last
	asking         bool                  // its answer is awaited
	spare          bool                  // more was granted than used a moment ago, too
	waiting        []exchange.AskSession // for that answer
}

// verdict is what becomes of one more session.
type verdict uint8

const (
	admit verdict = iota
	refuse
	askFirst // the supervisor
)

// limit sets what the class says; sessions that are there already stay.
func (a *admission) limit(promise, most int) {
	a.promise, a.most = int64(promise), int64(most)
	a.within.Limit, a.beyond.Limit = a.promise, a.most
	if a.unlimited() {
		a.beyond.Limit = resource.None
	}
	a.count(a.total())
}

// unlimited reports whether the class says nothing: all comes from the rest,
// and counts as one resource.
func (a *admission) unlimited() bool { return a.promise == 0 && a.most == 0 }

func (a *admission) total() int64 { return a.within.Current + a.beyond.Current }

// count splits a number of sessions into those that are promised and the others.
func (a *admission) count(total int64) {
	within := min(total, a.promise)
	if a.unlimited() {
		within = total
	}
	a.within.Set(within)
	a.beyond.Set(total - within)
}

// held is how many sessions are from the rest.
func (a *admission) held() int64 { return max(0, a.total()-a.promise) }

// judge says what becomes of one more session, which takes the place of so many
// others.
func (a *admission) judge(freed int64) verdict {
	total := a.total() - freed
	held := max(0, total-a.promise)
	switch {
	case total < a.promise:
		return admit
	case a.most == resource.None || a.most > 0 && held >= a.most || len(a.waiting) >= maxWaiting:
		return refuse
	case held < a.granted:
		return admit
	}
	return askFirst
}

// deny counts a refusal, and returns what has refused: its name and its limit.
func (a *admission) deny() (resource.Name, int64) {
	if a.most == resource.None || a.unlimited() {
		a.within.Denied++
		return a.promised, a.promise
	}
	a.beyond.Denied++
	return a.shared, max(0, a.most)
}

// claim asks the supervisor for what the waiting peers need, or gives back what
// nobody needs. There is one claim of a kind at a time.
func (w *Worker) claim(a *admission) {
	if a.asking {
		return
	}
	select {
	case w.claims <- control.Claim{Resource: string(a.shared), Held: a.held(), More: int64(len(a.waiting))}:
		a.asking = true
	default: // the supervisor is slow; the next look asks again
	}
}

// claimAll makes the claims, one after the other.
func (w *Worker) claimAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-w.claims:
			grant, err := w.ration(ctx, c)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				w.log.Error("supervisor refuses a request", "kind", string(control.KindClaim), "reason", err)
			}
			w.do(ctx, func(now time.Time) error { // an error is the end of the worker
				w.granted(now, c, grant)
				return nil
			})
		}
	}
}

// granted goes on with the peers that waited for the answer to a claim. What is
// not granted to them is refused: a peer that comes again asks again. Those that
// came after the claim make the next one.
func (w *Worker) granted(now time.Time, c control.Claim, g control.Grant) {
	a := w.sessions.admissionOf(c.Resource == string(resource.BurstSessions))
	a.asking, a.granted = false, g.Most
	waiting := a.waiting
	a.waiting = nil
	if !w.twin.speaks() {
		return
	}
	for i, q := range waiting {
		w.decide(now, q, int64(i) >= c.More)
	}
	w.carry(now)
}

// settleRest tells the supervisor what is held of the rest, where that is more
// than was granted, as in a worker that took over, or has been less for a while.
func (w *Worker) settleRest() {
	for _, a := range []*admission{&w.sessions.remoteAccess, &w.sessions.siteToSite} {
		spare := a.granted > a.held()
		if a.held() > a.granted || spare && a.spare || len(a.waiting) > 0 {
			w.claim(a)
		}
		a.spare = spare
	}
}

package session

import (
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
	granted        int64     // of the rest, as the supervisor has said last
	asking         bool      // its answer is awaited
	spare          bool      // more was granted than used a moment ago, too
	waiting        []Subject // for that answer
}

// outcome is what becomes of one more session.
type outcome uint8

const (
	admit outcome = iota
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
func (a *admission) judge(freed int64) outcome {
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

// claim asks for what the waiting peers need, or gives back what nobody needs.
func (a *admission) claim(out *Output) {
	if a.asking {
		return
	}
	a.asking = true
	out.Claims = append(out.Claims, Claim{Resource: string(a.shared), Held: a.held(), More: int64(len(a.waiting))})
}

// claimed returns the admission that a claim is about.
func (t *Table) claimed(c Claim) *admission {
	return t.admissionOf(c.Resource == string(resource.BurstSessions))
}

// Postpone takes a claim back that could not be made; Balance makes it again.
func (t *Table) Postpone(c Claim) { t.claimed(c).asking = false }

// Granted takes the answer to a claim: most is what the tenant may have of the
// resource. It returns those who waited for the answer, in the order in which they
// asked; the first c.More are those for whom the claim was made, and Decide is for all of
// them. What is not granted to the first is refused; the others may make the next
// claim.
func (t *Table) Granted(c Claim, most int64) (waiting []Subject) {
	a := t.claimed(c)
	a.asking, a.granted = false, most
	waiting, a.waiting = a.waiting, nil
	return waiting
}

// Balance claims what the tenant holds of what all contexts share, where that is
// more than was granted, as in a worker that took over, or has been less for a
// while. It is called every second.
func (t *Table) Balance(out *Output) {
	for _, a := range []*admission{&t.remoteAccess, &t.siteToSite} {
		spare := a.granted > a.held()
		if a.held() > a.granted || spare && a.spare || len(a.waiting) > 0 {
			a.claim(out)
		}
		a.spare = spare
	}
}

// Usage is what is used of one resource of the class.
type Usage struct {
	Resource resource.Name
	Meter    resource.Meter
}

// Usage returns what is used of the four resources that sessions count against.
func (t *Table) Usage() []Usage {
	var out []Usage
	for _, a := range []*admission{&t.remoteAccess, &t.siteToSite} {
		out = append(out, Usage{a.promised, a.within}, Usage{a.shared, a.beyond})
	}
	return out
}

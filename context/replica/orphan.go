package replica

import (
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
)

// Between two supervisors the workers of a pair keep the roles apart by themselves: see
// failover.Tenure.

// Orphaned says that the supervisor has gone. Who serves does so as long as the twin
// allows it, or for a while where the other node is away: see Forsake.
func (r *Replica) Orphaned(now time.Time) { r.role.orphaned(now) }

// Tend does what is due while one of the twins has no supervisor.
func (r *Replica) Tend(now time.Time) {
	r.role.tend(now)
	r.role.report()
}

// Forsake makes a worker silent that serves without a supervisor and must not any longer, and
// makes it the standby: StepBack. Else it does nothing. It is to be called after everything
// that may have changed that.
func (r *Replica) Forsake(now time.Time) (Step, error) {
	if !r.role.forsaken(now) {
		return StepNone, nil
	}
	r.twin.lease.mute()
	r.log.Warn("worker falls silent: it has no supervisor, and its twin may serve")
	r.role.renounce()
	return r.SetRole(control.Activation{Epoch: r.twin.epoch})
}

// Relieve asks a twin that serves without a supervisor to fall silent, before this worker
// is made the one that serves. The channel is closed when that is so, or the twin's lease is
// over.
func (r *Replica) Relieve(now time.Time) <-chan struct{} { return r.role.relieve(now) }

// Repeat tells a supervisor that is new how far the copy is.
func (r *Replica) Repeat() {
	r.twin.told = told{}
	r.role.report()
}

// Activation is what this worker plays.
func (r *Replica) Activation() control.Activation {
	if r.twin.unit == 0 {
		return control.Activation{}
	}
	serves := r.role.serves()
	return control.Activation{Active: serves, Epoch: r.twin.epoch, Alone: serves && r.twin.lone}
}

// silent is what Relieve returns where there is nothing to wait for.
var silent = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

func (a *active) orphaned(now time.Time) {
	if a.twin.lone && a.twin.session == nil {
		a.twin.tenure.OrphanedAlone(now, failover.LoneLease)
	} else {
		a.twin.tenure.Orphaned(now)
	}
	a.twin.renew(now)
	a.tend(now)
}

// confirm notes that a supervisor wants this worker to serve.
func (a *active) confirm() {
	now := a.host.Now()
	a.twin.tenure.Confirmed(now)
	a.twin.renew(now)
}

// tend tells the twin that this worker serves.
func (a *active) tend(now time.Time) {
	t := a.twin
	if t.tenure.Due(now) && t.session != nil {
		if b, ok := a.sender.Tend(nil, uint64(now.UnixNano())); ok {
			t.session.Send(b)
		}
	}
	if at := t.tenure.Deadline(); at.IsZero() {
		t.tend.Stop()
	} else {
		t.tend.Reset(max(0, at.Sub(now)))
	}
}

func (a *active) forsaken(now time.Time) bool {
	t := &a.twin.tenure
	return t.Orphan() && (a.twin.session == nil && !t.Alone() || a.sender.Yielded() || t.Lapsed(now))
}

func (*active) relieve(time.Time) <-chan struct{} { return silent }

// renounce is for a worker that may serve these SAs again although the twin has served
// them meanwhile, from a state that nobody here knows: where the twin was not in step, or
// has not said that it knows of a raise. Its sequence numbers could be among those of the
// twin, so there are none any more, and each child SA has to be rekeyed then (jump).
func (a *active) renounce() {
	behind := a.behind
	if a.twin.session != nil {
		behind = !a.sender.InStep()
	}
	for id, c := range a.store.slots.byID {
		if !behind && !a.raising(id) {
			continue
		}
		c.reservation = journal.Reservation{Epoch: a.twin.epoch, Limit: c.most}
		a.record(appendCounters(nil, a.store.countersOf(id)))
	}
}

// renew has the data plane muted when the lease is over, whatever the loop does then.
func (t *twin) renew(now time.Time) { t.lease.set(now, t.tenure.Until()) }

// tended answers a twin that serves without a supervisor.
func (x *standby) tended(now time.Time, s journal.Step) {
	if !x.twin.vigil.Tend(now) {
		return
	}
	x.twin.session.Send(x.receiver.Tended(nil, s))
	x.twin.tend.Reset(max(0, x.twin.vigil.Until().Sub(now)))
	x.report()
}

// tend looks whether the twin's lease is over.
func (x *standby) tend(now time.Time) { x.relieved(now) }

func (x *standby) relieve(now time.Time) <-chan struct{} {
	t := x.twin
	if !t.vigil.Serves(now) {
		return silent
	}
	t.vigil.Yield()
	if t.session != nil {
		t.session.Send(x.receiver.Yield(nil))
	}
	if t.relief == nil {
		t.relief = make(chan struct{})
	}
	t.tend.Reset(max(0, t.vigil.Until().Sub(now)))
	return t.relief
}

// relieved tells whoever waits for the silence of the twin.
func (x *standby) relieved(now time.Time) {
	if x.twin.relief != nil && !x.twin.vigil.Serves(now) {
		close(x.twin.relief)
		x.twin.relief = nil
	}
}

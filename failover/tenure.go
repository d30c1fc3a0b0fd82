package failover

import "time"

// A supervisor that ends may leave workers behind, which serve on until the next one
// takes them up. Nobody speaks for them in heartbeats meanwhile, so the two workers of
// each context keep the roles apart over their session, by a lease:
//
//	active worker (Tenure)                     standby worker (Vigil)
//	loses its supervisor
//	tend(clock)  -->                           its node waits (Node.Orphan)
//	                         <--  tended(clock)
//	... a third of the hold time later again, until the next supervisor has confirmed
//	the role, and for a while longer, in which the nodes come to hear each other
//	                         <--  yield        its node takes over
//	falls silent, ends the session  -->        serves
//
// The active worker falls silent at once when the session ends, when it is told to
// yield, and when the last message that was answered is older than the lease. The
// standby worker answers none any more once it has to serve, and serves when the session
// was ended from the other side, or when the lease of what it has answered last is over
// for certain. Clocks of the two are never compared.
//
// Where the peer has been away for a while (Node.Alone) there is nobody to ask, and nobody
// who could take over: the worker serves on for LoneLease. A peer that boots just then finds
// no active one, and both answer for the addresses until the next supervisor hears it, or
// that time is over. No number is used twice (journal.Reservation), and the SAs of one of
// the two are lost, as they would be were this worker silent.
const (
	// leaseHolds is for how many hold times an answered message lets the active worker
	// serve on. A worker is late more easily than a supervisor.
	leaseHolds = 3
	// lapseHolds is after how many the standby takes the lease for over: longer, so
	// that the active worker has fallen silent by then.
	lapseHolds = 4
	// tendsPerHold is how many messages there are in a hold time.
	tendsPerHold = 3
	// DefaultAdoption is how long a standby waits for the next supervisor of a node whose
	// workers serve on.
	DefaultAdoption = 10 * time.Second
	// LoneLease is how long a worker without a supervisor serves on where the peer has been
	// away: as long as a peer would wait.
	LoneLease = DefaultAdoption
)

// Tenure is how long the worker of an active node may serve without a supervisor. The
// zero value is no use: see NewTenure. It is not safe for concurrent use.
type Tenure struct {
	hold   time.Duration
	orphan bool      // there is no supervisor
	alone  bool      // and no peer either
	until  time.Time // of the lease
	linger time.Time // messages leave until then although there is a supervisor
	next   time.Time // when the next one leaves
}

// NewTenure returns the Tenure of a worker with a supervisor. Zero: DefaultHold.
func NewTenure(hold time.Duration) Tenure {
	setDefault(&hold, DefaultHold)
	return Tenure{hold: hold}
}

// Orphaned says that the supervisor has gone. The standby knows nothing of that yet: what
// it grants before it is asked is the time for which it waits for a heartbeat.
func (t *Tenure) Orphaned(now time.Time) {
	if !t.orphan {
		t.orphan, t.until, t.next = true, now.Add(t.hold), now
	}
}

// OrphanedAlone is Orphaned where there is no session with a twin, and the supervisor that has
// gone had not heard its peer for a while (Node.Alone): the worker asks nobody, and serves for
// the time of lease.
func (t *Tenure) OrphanedAlone(now time.Time, lease time.Duration) {
	if !t.orphan {
		t.orphan, t.alone, t.until, t.next = true, true, now.Add(lease), time.Time{}
	}
}

// Met says that there is a session with the twin: who was alone is so no longer, and serves as
// long as the twin answers.
func (t *Tenure) Met(now time.Time) {
	if t.alone && !t.Lapsed(now) {
		t.alone, t.until, t.next = false, now.Add(t.hold), now
	}
}

// Confirmed says that a supervisor wants this worker to serve.
func (t *Tenure) Confirmed(now time.Time) {
	if t.orphan {
		t.orphan, t.alone, t.linger = false, false, now.Add(patience*t.hold)
	}
}

// Ended says that this worker serves no longer.
func (t *Tenure) Ended() { t.orphan, t.alone, t.next = false, false, time.Time{} }

// Tended says that the twin has answered what was sent at a time. A lease that is over stays so.
func (t *Tenure) Tended(now, sent time.Time) {
	if until := sent.Add(leaseHolds * t.hold); !sent.After(now) && until.After(t.until) && !t.Lapsed(now) {
		t.until = until
	}
}

// Orphan reports whether there is no supervisor.
func (t *Tenure) Orphan() bool { return t.orphan }

// Alone reports whether the worker serves without a supervisor and without a twin.
func (t *Tenure) Alone() bool { return t.alone }

// Until returns the end of the lease; zero: there is a supervisor, and no lease.
func (t *Tenure) Until() time.Time {
	if !t.orphan {
		return time.Time{}
	}
	return t.until
}

// Lapsed reports whether the worker has to fall silent.
func (t *Tenure) Lapsed(now time.Time) bool { return t.orphan && !now.Before(t.until) }

// Due reports whether the twin is to be told that this worker serves, once for each time.
func (t *Tenure) Due(now time.Time) bool {
	if t.next.IsZero() || now.Before(t.next) {
		return false
	}
	if t.next = now.Add(t.hold / tendsPerHold); !t.orphan && !now.Before(t.linger) {
		t.next = time.Time{}
		return false
	}
	return true
}

// Deadline returns when Due and Lapsed are to be asked next; zero: never.
func (t *Tenure) Deadline() time.Time {
	if t.orphan && (t.alone || t.until.Before(t.next)) {
		return t.until
	}
	return t.next
}

// Vigil is what a standby worker knows of a twin without a supervisor. The zero value is
// no use: see NewVigil. It is not safe for concurrent use.
type Vigil struct {
	hold     time.Duration
	last     time.Time // when the twin was answered last; zero: it has nothing to serve on for
	yielding bool
}

// NewVigil returns the Vigil beside a twin that has a supervisor. Zero: DefaultHold.
func NewVigil(hold time.Duration) Vigil {
	setDefault(&hold, DefaultHold)
	return Vigil{hold: hold}
}

// Tend takes the twin's word that it serves, and reports whether it is to be answered.
func (v *Vigil) Tend(now time.Time) bool {
	if v.yielding {
		return false
	}
	v.last = now
	return true
}

// Yield says that the twin is answered no more, because this worker is to serve.
func (v *Vigil) Yield() { v.yielding = true }

// Ended says that the twin has ended the session, or that there is a new one: a twin
// without a supervisor falls silent before that.
func (v *Vigil) Ended() { v.last, v.yielding = time.Time{}, false }

// Until returns when the twin is silent for certain; zero: it is.
func (v *Vigil) Until() time.Time {
	if v.last.IsZero() {
		return time.Time{}
	}
	return v.last.Add(lapseHolds * v.hold)
}

// Serves reports whether the twin may serve.
func (v *Vigil) Serves(now time.Time) bool { return now.Before(v.Until()) }

package pair

import (
	"time"

	"github.com/warrenvpn/warren/context/control"
)

const (
	// answerLimit is how long a worker may take to say what has become of a
	// connection.
	answerLimit = 6 * time.Second
	// dialFirst is when a session that ended is made again; each later time
	// after twice as long, to dialMost.
	dialFirst = 20 * time.Millisecond
	dialMost  = 2 * time.Second
)

// dialling is how a standby context comes to its session with the twin. It
// belongs to Pair.run.
type dialling struct {
	busy      bool      // a connection is being made
	passed    time.Time // since when the worker's word is awaited; zero: it is not
	connected bool
	next      time.Time
	delay     time.Duration
}

// begin notes that a connection is being made. The worker may say what has
// become of it before end is called.
func (d *dialling) begin(now time.Time) { d.busy, d.passed = true, now }

// end notes that the worker has it, or that there is none.
func (d *dialling) end(now time.Time, err error) {
	d.busy = false
	if err != nil {
		d.passed = time.Time{}
		d.failed(now)
	}
}

// answered takes the worker's word on the session.
func (d *dialling) answered(now time.Time, r *control.Replication) {
	d.connected = r.Connected
	if r.Connected {
		d.passed, d.next, d.delay = time.Time{}, time.Time{}, 0
		return
	}
	d.passed = time.Time{}
	d.failed(now)
}

// failed makes the next attempt wait.
func (d *dialling) failed(now time.Time) {
	if d.delay = min(max(2*d.delay, dialFirst), dialMost); now.Add(d.delay).After(d.next) {
		d.next = now.Add(d.delay)
	}
}

// due reports whether it is time to connect.
func (d *dialling) due(now time.Time) bool {
	waiting := !d.passed.IsZero() && now.Sub(d.passed) < answerLimit
	return !d.connected && !d.busy && !waiting && !now.Before(d.next)
}

package worker

import (
	"time"

	"github.com/warrenvpn/warren/internal/uptime"
)

// clock is the time that lifetimes are counted on. It is the wall clock's of the
// moment when the supervisor began, and goes on with the machine from there: who
// sets the wall clock moves no lifetime, and every worker that the supervisor
// starts goes on with the same time. The clock of another node is another one:
// journal entries say what it showed there (see entry.go).
type clock struct {
	start time.Time // by Go's clock, whose differences are monotonic
	base  time.Time // what this clock showed then

	ahead time.Duration // of this clock, the wall clock; see wall
}

// newClock returns the clock of a supervisor: zero is what it showed, in
// nanoseconds since 1970, when the machine was started. 0: there is none to
// agree with, as in tests.
func newClock(zero int64) *clock {
	c := &clock{start: time.Now()}
	c.base = c.start.Round(0)
	if zero != 0 {
		c.base = time.Unix(0, zero).Add(uptime.Now())
	}
	c.ahead = c.start.Round(0).Sub(c.base)
	return c
}

// now returns what the clock shows.
func (c *clock) now() time.Time { return c.base.Add(time.Since(c.start)) }

// until returns how long it takes until the clock shows t.
func (c *clock) until(t time.Time) time.Duration { return t.Sub(c.now()) }

// wallStep is by how much the wall clock has to be set before what is told by it
// changes.
const wallStep = time.Second

// wall returns when, on the wall clock, this one shows or has shown t: for those
// who read it. The same t is told alike as long as nobody sets the wall clock. The
// zero Time stays.
func (c *clock) wall(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	if ahead := time.Now().Round(0).Sub(c.now()); (ahead - c.ahead).Abs() >= wallStep {
		c.ahead = ahead
	}
	return t.Add(c.ahead)
}

package netns

import "time"

// When a Gateway looks at what there is in its namespace.
const (
	// lookQuiet is how long a namespace must have been left alone after a change
	// before it is looked at: a link that goes down and up makes several. lookLimit is
	// the longest that a look waits for quiet.
	lookQuiet = 50 * time.Millisecond
	lookLimit = 250 * time.Millisecond
	// lookEvery is how often it is looked at although nothing was told: of some changes
	// the kernel tells nobody. lookAgain is the same while something cannot be mended, or
	// was mended a short time ago.
	lookEvery = time.Minute
	lookAgain = 5 * time.Second
	// After something was mended the next look waits for mendFirst, each later one for
	// twice that, to mendMost: somebody may change it back every time. From
	// mendContested on that is what is going on; after mendPeace it is over.
	mendFirst     = 100 * time.Millisecond
	mendMost      = 30 * time.Second
	mendContested = 3 * time.Second
	mendPeace     = time.Minute
)

// pace decides when to look. It does no I/O; time is an argument.
type pace struct {
	first, last time.Time // of the changes that nobody has looked at; zero: none
	looked      time.Time
	mended      time.Time     // the last look that has mended something
	rest        time.Duration // after mended
	failing     bool          // the last look has left something
}

// change notes that something has changed.
func (p *pace) change(now time.Time) {
	if p.first.IsZero() {
		p.first = now
	}
	p.last = now
}

// due is when to look next.
func (p *pace) due() time.Time {
	at := p.looked.Add(lookEvery)
	if p.failing || p.rest > 0 {
		at = p.looked.Add(lookAgain)
	}
	if !p.first.IsZero() {
		at = earliest(at, earliest(p.last.Add(lookQuiet), p.first.Add(lookLimit)))
	}
	if free := p.mended.Add(p.rest); p.rest > 0 && free.After(at) {
		return free
	}
	return at
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// look notes a look, and what has come of it.
func (p *pace) look(now time.Time, mended, failing bool) {
	p.first, p.looked, p.failing = time.Time{}, now, failing
	switch {
	case mended:
		p.mended, p.rest = now, min(max(2*p.rest, mendFirst), mendMost)
	case now.Sub(p.mended) >= mendPeace:
		p.rest = 0
	}
}

// contested tells whether somebody changes again and again what is mended.
func (p *pace) contested() bool { return p.rest >= mendContested }

package plane

import "time"

// SetDrainTime sets how long the end of a child SA waits for the crew.
func SetDrainTime(d time.Duration) { drainTime = d }

// PathMTU returns the path MTU of a child, and the largest inner packet that
// fits through it.
func (p *Plane) PathMTU(child uint64) (path, inner int, ok bool) {
	p.esp.mu.Lock()
	defer p.esp.mu.Unlock()
	ch := p.esp.children[child]
	if ch == nil {
		return 0, 0, false
	}
	to := ch.path.Load()
	return int(to.mtu), int(to.inner4), true
}

// EndLate ends what is late by now.
func (p *Plane) EndLate() { p.esp.endLate() }

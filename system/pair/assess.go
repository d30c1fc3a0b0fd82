package pair

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/failover"
)

// absence is that of a context that is not built.
type absence struct {
	since time.Time
	told  bool // the role machine knows
}

// inspect looks at what tells nothing by itself.
func (p *Pair) inspect(now time.Time, out *failover.Output) {
	p.openData()
	for _, m := range p.members {
		p.assess(now, m, out)
	}
	p.assessMissing(now, workerLimit, out)
	gone := p.gaps(now)
	p.mu.Lock()
	p.gone = gone
	p.mu.Unlock()
}

// assessMissing gives up contexts that could not be built for longer than
// limit.
func (p *Pair) assessMissing(now time.Time, limit time.Duration, out *failover.Output) {
	for _, c := range p.conf.Contexts {
		if m := p.members[c.Name]; m != nil || c.Suspended {
			if c.Suspended || m.broken == "" {
				delete(p.missing, c.Name)
			}
			continue
		}
		a, noted := p.missing[c.Name]
		if !noted {
			a.since = now
		}
		if p.node != nil && now.Sub(a.since) >= limit {
			a.told = true
			p.node.WorkerFailed(now, c.Name, "it cannot be built", out)
		}
		p.missing[c.Name] = a
	}
}

// assess decides whether the worker of a context can be relied on.
func (p *Pair) assess(now time.Time, m *member, out *failover.Output) {
	s := m.worker.Status()
	if s.Ready {
		m.down = time.Time{}
		if m.up.IsZero() {
			m.up = now
		}
	} else {
		m.up = time.Time{}
		if m.down.IsZero() {
			m.down = now
		}
	}
	if p.node == nil {
		return
	}
	switch {
	case s.Silences > m.silences:
		// Its successor comes at once, but what has stopped it may stop it again.
		m.silences, m.broken, m.up = s.Silences, "its worker did not answer", time.Time{}
		p.node.WorkerFailed(now, m.name, m.broken, out)
	case m.broken == "" && (s.Losses > lossesFailed || !m.down.IsZero() && now.Sub(m.down) >= workerLimit):
		m.broken = "its worker does not come back: " + s.Reason
		p.node.WorkerFailed(now, m.name, m.broken, out)
	case m.broken != "" && !m.up.IsZero() && now.Sub(m.up) >= workerStable:
		m.broken = ""
		p.node.WorkerRecovered(now, m.name, out)
	}
}

// watchMember follows the carriers of a context until it leaves.
func (p *Pair) watchMember(ctx context.Context, m *member) {
	m.gateway.WatchLinks(ctx, func() {
		carriers := m.gateway.Carriers()
		p.post(func(now time.Time, out *failover.Output) {
			for name, up := range carriers {
				m.carriers[name] = up
			}
			p.healthOfInterfaces(now, out)
		})
	})
}

// healthOfInterfaces tells the role machine which monitored interfaces are fit
// for use. One that no context has at the moment stays as it was.
func (p *Pair) healthOfInterfaces(now time.Time, out *failover.Output) {
	if p.node == nil {
		return
	}
	health := make(map[string]bool)
	for _, m := range p.members {
		for system, own := range m.interfaces {
			up, known := m.carriers[own]
			if known {
				health[system] = health[system] || up
			}
		}
	}
	for name, up := range health {
		p.node.Interface(now, name, up, out)
	}
}

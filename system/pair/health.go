package pair

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/failover"
)

const (
	// workerLimit is how long a context may be without a worker before its
	// group goes to the peer: replacing one takes a tenth of a second.
	workerLimit = 5 * time.Second
	// lossesFailed is how many losses of its worker in a row a context may have.
	lossesFailed = 3
	// workerStable is how long a worker that was given up must run again to be
	// trusted.
	workerStable = 10 * time.Second
)

// absence is that of a context that is not built.
type absence struct {
	since time.Time
	told  bool // the role machine knows
}

// health is which contexts and interfaces of this unit are fit for use. It belongs to
// Pair.run.
type health struct {
	*machine
	members *members
	missing map[string]absence // contexts that are not built
}

// inspect looks at the workers, and for contexts that are missing.
func (h *health) inspect(now time.Time, out *failover.Output) {
	for _, m := range h.members.byName {
		h.assess(now, m, out)
	}
	h.assessMissing(now, workerLimit, out)
}

// assessMissing gives up contexts that could not be built for longer than
// limit.
func (h *health) assessMissing(now time.Time, limit time.Duration, out *failover.Output) {
	for _, c := range h.conf.Contexts {
		if m := h.members.byName[c.Name]; m != nil || c.Suspended {
			if c.Suspended || m.broken == "" {
				delete(h.missing, c.Name)
			}
			continue
		}
		a, noted := h.missing[c.Name]
		if !noted {
			a.since = now
		}
		if h.node != nil && now.Sub(a.since) >= limit {
			a.told = true
			h.node.WorkerFailed(now, c.Name, "it cannot be built", out)
		}
		h.missing[c.Name] = a
	}
}

// assess decides whether the worker of a context can be relied on.
func (h *health) assess(now time.Time, m *member, out *failover.Output) {
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
	if h.node == nil {
		return
	}
	switch {
	case s.Silences > m.silences:
		// Its successor comes at once, but what has stopped it may stop it again.
		m.silences, m.broken, m.up = s.Silences, "its worker did not answer", time.Time{}
		h.node.WorkerFailed(now, m.name, m.broken, out)
	case m.broken == "" && (s.Losses > lossesFailed || !m.down.IsZero() && now.Sub(m.down) >= workerLimit):
		m.broken = "its worker does not come back: " + s.Reason
		h.node.WorkerFailed(now, m.name, m.broken, out)
	case m.broken != "" && !m.up.IsZero() && now.Sub(m.up) >= workerStable:
		m.broken = ""
		h.node.WorkerRecovered(now, m.name, out)
	}
}

// watch follows the carriers of a context until it leaves.
func (h *health) watch(ctx context.Context, m *member) {
	m.gateway.WatchLinks(ctx, func() {
		carriers := m.gateway.Carriers()
		h.post(func(now time.Time, out *failover.Output) {
			for name, up := range carriers {
				m.carriers[name] = up
			}
			h.interfaces(now, out)
		})
	})
}

// interfaces tells the role machine which monitored interfaces are fit
// for use. One that no context has at the moment stays as it was.
func (h *health) interfaces(now time.Time, out *failover.Output) {
	if h.node == nil {
		return
	}
	health := make(map[string]bool)
	for _, m := range h.members.byName {
		for system, own := range m.interfaces {
			up, known := m.carriers[own]
			if known {
				health[system] = health[system] || up
			}
		}
	}
	for name, up := range health {
		h.node.Interface(now, name, up, out)
	}
}

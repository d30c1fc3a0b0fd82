package tenants

import (
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/system/events"
)

// network is what is wrong with the network of a context as a whole.
type network struct {
	contested bool
	reason    string // what cannot be mended; "" for nothing
}

// lookedAt is told what has come of a look at the network of the context.
func (t *tenant) lookedAt(l netns.Look) {
	now := network{contested: l.Contested}
	if l.Err != nil {
		now.reason = l.Err.Error()
	}
	t.mu.Lock()
	was := t.network
	t.network = now
	t.mu.Unlock()
	what := l.Mended.String()
	switch {
	case now.contested && !was.contested:
		t.env.Events.Tell(t.log, t.name, &events.NetworkContested{Detail: what})
	case was.contested && !now.contested:
		t.log.Info("nobody changes the network of the context any more")
	case what != "" && !now.contested:
		t.env.Events.Tell(t.log, t.name, &events.NetworkMended{Detail: what})
	}
	switch {
	case now.reason != "" && now.reason != was.reason:
		t.env.Events.Tell(t.log, t.name, &events.NetworkBroken{Reason: now.reason})
	case now.reason == "" && was.reason != "":
		t.env.Events.Tell(t.log, t.name, &events.NetworkRestored{})
	}
	if now != was {
		t.env.Changed()
	}
}

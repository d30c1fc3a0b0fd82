package system

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/fault"
)

// handOverLimit bounds how long a node that is stopped waits for the other one
// to take over.
const handOverLimit = 2 * time.Second

// pairFixed says what of failover cannot change while warrend runs.
func pairFixed(is, next *configs.System) error {
	what := pairChange(is, next)
	if what == "" {
		return nil
	}
	return &fault.Error{
		Code: fault.CodeRefused, Reason: "system: " + what + " cannot change while warrend runs",
		Hint: "undo that change, or restart warrend, the standby node first",
	}
}

// pairChange names what of failover has changed that is fixed; "": nothing.
func pairChange(is, next *configs.System) string {
	old, now := is.Failover, next.Failover
	switch {
	case old == nil && now == nil:
		return ""
	case old == nil:
		return "a node alone into one of a pair"
	case now == nil:
		return "one of a pair into a node alone"
	case old.Unit != now.Unit:
		return "the failover unit"
	case !bytes.Equal(old.Key.Reveal(), now.Key.Reveal()):
		return "the failover key"
	case old.Poll != now.Poll || old.Hold != now.Hold:
		return "failover poll and hold"
	case !slices.Equal(old.Links, now.Links):
		return "the failover links"
	}
	for _, l := range now.Links {
		before, _ := is.Interface(l.Interface)
		if on, _ := next.Interface(l.Interface); on != before {
			return fmt.Sprintf("the device of failover link %q", l.Name)
		}
	}
	return ""
}

// configure takes over a configuration that pairFixed has let pass.
func (p *pair) configure(conf *configs.System) {
	if p == nil {
		return
	}
	contexts := contextsByGroup(conf)
	var groups []failover.GroupConfig // a thousand contexts take a while: not in run
	for _, g := range conf.Failover.Groups {
		groups = append(groups, groupConfig(conf, g, p.epochs.of(g.Name)))
	}
	p.post(func(now time.Time, out *failover.Output) {
		p.conf, p.contexts = conf, contexts
		p.mu.Lock()
		maps.DeleteFunc(p.roles, func(group string, _ failover.Role) bool { return contexts[group] == nil })
		p.mu.Unlock()
		clear(p.byGroup)
		for _, m := range p.members {
			p.index(m.group)
		}
		if p.node == nil {
			return
		}
		if err := p.node.Configure(now, groups, out); err != nil {
			p.log.Error("failover groups not changed", "reason", err.Error())
		}
		for _, m := range p.members { // what was told before the group knew the context
			p.progress(now, m, out)
		}
		p.openData()
		p.healthOfInterfaces(now, out)
	})
}

package system

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/api"
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
	return &api.Error{
		Code: api.CodeRefused, Reason: "system: " + what + " cannot change while warrend runs",
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
	named := func(a, b configs.FailoverGroup) bool { return a.Name == b.Name }
	if !slices.EqualFunc(old.Groups, now.Groups, named) {
		return "the list of failover groups"
	}
	return ""
}

// configure takes over a configuration that pairFixed has let pass.
func (p *pair) configure(conf *configs.System) {
	if p == nil {
		return
	}
	p.post(func(now time.Time, out *failover.Output) {
		p.conf = conf
		if p.node == nil {
			return
		}
		for _, g := range conf.Failover.Groups {
			if err := p.node.Configure(now, groupConfig(conf, g, 0), out); err != nil {
				p.log.Error("failover group not changed", "group", g.Name, "reason", err.Error())
			}
		}
		for _, m := range p.members { // what was told before the group knew the context
			p.progress(now, m, out)
		}
		p.openData()
		p.healthOfInterfaces(now, out)
	})
}

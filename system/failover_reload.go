package system

import (
	"maps"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// handOverLimit bounds how long a node that is stopped waits for the other one
// to take over.
const handOverLimit = 2 * time.Second

// configure takes over a configuration that pairFixed has let pass.
func (p *pair) configure(conf *configs.System) {
	if p == nil {
		return
	}
	contexts, owner := contextsByGroup(conf), groupOf(conf)
	var groups []failover.GroupConfig // a thousand contexts take a while: not in run
	for _, g := range conf.Failover.Groups {
		groups = append(groups, groupConfig(conf, g, p.epochs.of(g.Name)))
	}
	p.post(func(now time.Time, out *failover.Output) {
		p.conf, p.contexts = conf, contexts
		p.mu.Lock()
		p.owner = owner
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
			p.log.Error("failover groups not changed", "reason", err)
		}
		for _, m := range p.members { // what was told before the group knew the context
			p.progress(now, m, out)
		}
		p.openData()
		p.healthOfInterfaces(now, out)
	})
}

package pair

import (
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// groupConfig translates a group of the configuration.
func groupConfig(conf *configs.System, g configs.FailoverGroup, epoch uint64) failover.GroupConfig {
	out := failover.GroupConfig{
		Name: g.Name, Prefer: g.Prefer, Preempt: g.Preempt, PreemptDelay: g.PreemptDelay,
		Monitor: g.Monitor, InterfacePolicy: g.InterfacePolicy, Epoch: epoch,
	}
	out.Hashes = hashesOf(conf, g.Name)
	for _, c := range conf.Group(g.Name) {
		if !c.Suspended {
			out.Tenants = append(out.Tenants, c.Name)
			out.TenantHashes = append(out.TenantHashes, tenantHashes(conf, c))
		}
	}
	if len(out.Tenants) < 2 {
		out.TenantHashes = nil // those of the group say it
	}
	return out
}

// tenantHashes returns the hashes of one context, one for each key.
func tenantHashes(conf *configs.System, c configs.Tenant) (list [failover.MaxKeys][16]byte) {
	for i, key := range conf.Failover.Keys() {
		list[i] = configs.TenantHash(c, key)
	}
	return list
}

// Configure changes the groups and their contexts to those of a configuration in which
// nothing differs that cannot change while warrend runs. It does not block.
func (p *Pair) Configure(conf *configs.System) {
	if p == nil {
		return
	}
	contexts, owner := contextsByGroup(conf), groupOf(conf)
	var groups []failover.GroupConfig // a thousand contexts take a while: not in run
	for _, g := range conf.Failover.Groups {
		groups = append(groups, groupConfig(conf, g, p.epochs.store.of(g.Name)))
	}
	keys := conf.Failover.Keys()
	p.keys.set(keys)
	p.post(func(now time.Time, out *failover.Output) {
		p.conf = conf
		p.async("the end of calls with a key that has gone", p.peer.rekey)
		p.roles.configure(owner)
		p.members.configure(contexts)
		if p.node == nil {
			return
		}
		if err := p.node.SetKeys(now, keys, out); err != nil {
			p.log.Error("failover keys not changed", "reason", err)
		}
		if err := p.node.Configure(now, groups, out); err != nil {
			p.log.Error("failover groups not changed", "reason", err)
		}
		for _, m := range p.members.byName { // what was told before the group knew the context
			p.twins.progress(now, m, out)
		}
		p.data.openAll()
		p.health.interfaces(now, out)
	})
}

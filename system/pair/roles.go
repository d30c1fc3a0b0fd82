package pair

import (
	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// role returns the present role of a group.
func (p *Pair) role(group string) failover.Role {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roles[group]
}

// Active tells whether a group is active on this unit.
func (p *Pair) Active(group string) bool { return p != nil && p.role(group) == failover.RoleActive }

// Standby tells of a context that is standby here: its disk follows the other unit's.
func (p *Pair) Standby(tenant string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.owner[tenant]
	return group != "" && p.roles[group].Standby()
}

// Twinned tells of a context that has a standby unit.
func (p *Pair) Twinned(tenant string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owner[tenant] != ""
}

// groupOf returns the group of each context.
func groupOf(conf *configs.System) map[string]string {
	owner := make(map[string]string)
	for _, c := range conf.Contexts {
		owner[c.Name] = c.FailoverGroup
	}
	return owner
}

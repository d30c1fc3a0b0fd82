package pair

import (
	"maps"
	"sync"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/plan"
)

// roles are the present roles of the groups on this unit, and the group of each context.
// Their methods may be called from several goroutines at once.
type roles struct {
	mu    sync.Mutex // protects what follows
	role  map[string]failover.Role
	group map[string]string // of each context
}

func newRoles(conf *configs.System) *roles {
	return &roles{role: make(map[string]failover.Role), group: groupOf(conf)}
}

// of returns the present role of a group.
func (r *roles) of(group string) failover.Role {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.role[group]
}

// ofTenant returns the group of a context, "" where it has none, and the role of the group.
func (r *roles) ofTenant(name string) (group string, role failover.Role) {
	r.mu.Lock()
	defer r.mu.Unlock()
	group = r.group[name]
	return group, r.role[group]
}

// set changes the role of a group, and returns the one before.
func (r *roles) set(group string, to failover.Role) (from failover.Role) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from = r.role[group]
	r.role[group] = to
	return from
}

// configure takes the groups of another configuration. Those that go lose their roles.
func (r *roles) configure(group map[string]string) {
	there := make(map[string]bool)
	for _, g := range group {
		there[g] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.group = group
	maps.DeleteFunc(r.role, func(g string, _ failover.Role) bool { return !there[g] })
}

// groupOf returns the group of each context.
func groupOf(conf *configs.System) map[string]string {
	owner := make(map[string]string)
	for _, c := range conf.Contexts {
		owner[c.Name] = c.FailoverGroup
	}
	return owner
}

// Active tells whether a group is active on this unit.
func (p *Pair) Active(group string) bool { return p != nil && p.roles.of(group) == failover.RoleActive }

// Standby tells of a context that is standby here: its disk follows the other unit's.
func (p *Pair) Standby(tenant string) bool {
	group, role := p.roles.ofTenant(tenant)
	return group != "" && role.Standby()
}

// Epoch returns the epoch of the group of a context that is active here, the highest one
// that this unit has promised to use; false for a context that has no standby unit.
func (p *Pair) Epoch(tenant string) (epoch uint64, twinned bool) {
	group, _ := p.roles.ofTenant(tenant)
	return p.epochs.store.of(group), group != ""
}

// Role implements tenants.Pair.
func (p *Pair) Role(w *plan.Wanted) string {
	if !p.Paired(w) {
		return "active"
	}
	role := p.roles.of(w.FailoverGroup)
	if role.Standby() {
		return "standby"
	}
	return role.String()
}

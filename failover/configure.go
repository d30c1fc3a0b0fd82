package failover

import (
	"slices"
	"time"
)

// Configure replaces the list of groups. What newly counts as monitored is up
// until Interface says otherwise. A group that stays keeps its role and its
// epoch; a new one looks for the peer; one that is not there any more is
// forgotten, whatever it was. The order of the groups means nothing.
func (n *Node) Configure(now time.Time, groups []GroupConfig, out *Output) error {
	if err := checkGroups(groups); err != nil {
		return err
	}
	old := n.byGroup
	n.groups = nil
	for _, cfg := range groups {
		g := old[cfg.Name]
		if g == nil {
			g = newGroup(now, cfg)
			theirs := n.peer.groups[cfg.Name]
			g.seen = max(theirs.Epoch, theirs.Used)
			n.change(now, g, RoleNegotiation, "configured", out)
		} else {
			g.configure(now, cfg)
		}
		delete(old, cfg.Name)
		n.groups = append(n.groups, g)
	}
	for name := range old {
		n.outbox.set(Entry{Kind: EntryGroup, Name: name, Gone: true})
	}
	n.index()
	n.monitor()
	n.tellTenants()
	n.dirty = true
	n.finish(now, out, nil)
	return nil
}

// Tolerate replaces GroupConfig.Tolerated of all groups; of one that is not among them
// nothing is tolerated any more.
func (n *Node) Tolerate(now time.Time, hashes map[string][][MaxKeys][16]byte, out *Output) {
	for _, g := range n.groups {
		g.cfg.Tolerated = hashes[g.cfg.Name]
	}
	n.finish(now, out, nil)
}

// configure gives g another configuration; tenants that stay keep their state.
func (g *group) configure(now time.Time, cfg GroupConfig) {
	cfg.Epoch, cfg.Tolerated = g.cfg.Epoch, g.cfg.Tolerated
	cfg.Adopted, cfg.Active, cfg.Known = g.cfg.Adopted, g.cfg.Active, g.cfg.Known
	old := g.tenants
	g.cfg, g.tenants = cfg, newGroup(now, cfg).tenants
	for i, t := range g.tenants {
		if was := slices.IndexFunc(old, func(o *tenant) bool { return o.name == t.name }); was >= 0 {
			g.tenants[i] = old[was]
		} else if g.role == RoleActive {
			t.held = true
		}
	}
}

// index finds groups by their names and by those of their tenants.
func (n *Node) index() {
	n.byGroup, n.byTenant = map[string]*group{}, map[string]*group{}
	for _, g := range n.groups {
		n.byGroup[g.cfg.Name] = g
		for _, t := range g.tenants {
			n.byTenant[t.name] = g
		}
	}
}

// monitor makes the interfaces those that groups monitor, the old ones as they
// were.
func (n *Node) monitor() {
	known, paths := n.byName, n.data
	n.interfaces, n.byName, n.data = nil, map[string]*interfaceState{}, map[string]*pathState{}
	for _, g := range n.groups {
		for _, name := range g.cfg.Monitor {
			if n.byName[name] != nil {
				continue
			}
			i := known[name]
			if i == nil {
				i = &interfaceState{name: name, carrier: true, up: true}
			}
			n.interfaces = append(n.interfaces, i)
			n.byName[name] = i
			if n.data[name] = paths[name]; n.data[name] == nil {
				n.data[name] = &pathState{path: Path{DataPath, name}, up: true}
			}
		}
	}
	for name := range known {
		if n.byName[name] == nil {
			n.outbox.set(Entry{Kind: EntryInterface, Name: name, Gone: true})
		}
	}
}

package pair

import (
	"slices"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// members are the contexts of the pair that are built. They belong to Pair.run.
type members struct {
	byName   map[string]*member
	byGroup  map[string][]*member // in the order of their names
	contexts map[string][]string  // of the configuration, by group
}

func newMembers(conf *configs.System) *members {
	return &members{byName: make(map[string]*member), byGroup: make(map[string][]*member),
		contexts: contextsByGroup(conf)}
}

// add adds a context that has been built.
func (s *members) add(m *member) {
	s.byName[m.name] = m
	s.index(m.group)
}

// remove forgets a context and returns it; nil: it is not there.
func (s *members) remove(name string) *member {
	m := s.byName[name]
	if m == nil {
		return nil
	}
	m.leave()
	delete(s.byName, name)
	s.index(m.group)
	return m
}

// configure takes the groups of another configuration.
func (s *members) configure(contexts map[string][]string) {
	s.contexts = contexts
	clear(s.byGroup)
	for _, m := range s.byName {
		s.index(m.group)
	}
}

// index lists the contexts of a group that are built, in order.
func (s *members) index(group string) {
	var list []*member
	for _, name := range s.contexts[group] {
		if m := s.byName[name]; m != nil && m.group == group {
			list = append(list, m)
		}
	}
	if s.byGroup[group] = list; len(list) == 0 {
		delete(s.byGroup, group)
	}
}

// adopted adds to the configuration of a group what its workers play that are of an earlier
// process.
func (s *members) adopted(g *failover.GroupConfig) {
	known := 0
	for _, m := range s.byGroup[g.Name] {
		if !m.adopted {
			continue
		}
		if m.worker.Status().Ready {
			known++
		}
		switch a := m.worker.Activation(); {
		case a.Active == g.Active:
			g.Adopted = max(g.Adopted, a.Epoch)
		case a.Active:
			g.Adopted, g.Active = a.Epoch, true
		}
	}
	g.Known = known > 0 && known == len(s.contexts[g.Name])
}

// lone reports whether a worker of an earlier process serves that was told that the peer is away.
func (s *members) lone(group string) bool {
	return slices.ContainsFunc(s.byGroup[group], func(m *member) bool {
		a := m.worker.Activation()
		return m.adopted && a.Active && a.Alone
	})
}

// contextsByGroup returns the names of the contexts of each group, in order.
func contextsByGroup(conf *configs.System) map[string][]string {
	groups := make(map[string][]string)
	for _, c := range conf.Contexts {
		groups[c.FailoverGroup] = append(groups[c.FailoverGroup], c.Name)
	}
	for _, names := range groups {
		slices.Sort(names)
	}
	return groups
}

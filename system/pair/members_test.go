package pair

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/failover"
)

// names returns the contexts of a group that are built.
func names(s *members, group string) (list []string) {
	for _, m := range s.byGroup[group] {
		list = append(list, m.name)
	}
	return list
}

// TestMembers: contexts are listed by their group, in the order of their names, as long as
// they are built and the configuration has them there.
func TestMembers(t *testing.T) {
	conf := &configs.System{Contexts: []configs.Tenant{{Name: "blue", FailoverGroup: "1"},
		{Name: "acme", FailoverGroup: "1"}, {Name: "corp", FailoverGroup: "2"}}}
	s := newMembers(conf)
	left := 0
	for _, name := range []string{"corp", "blue", "acme"} {
		group := "1"
		if name == "corp" {
			group = "2"
		}
		s.add(&member{name: name, group: group, leave: func() { left++ }})
	}
	if got := names(s, "1"); !slices.Equal(got, []string{"acme", "blue"}) {
		t.Errorf("group 1 has %q", got)
	}
	if got := s.row(failover.GroupStatus{Name: "1"}).Contexts; !slices.Equal(got, []string{"acme", "blue"}) {
		t.Errorf("group 1 is shown with %q", got)
	}
	if s.remove("nobody") != nil || s.remove("acme").name != "acme" || left != 1 {
		t.Errorf("%d contexts were told that they leave", left)
	}
	if got := names(s, "1"); !slices.Equal(got, []string{"blue"}) {
		t.Errorf("group 1 has %q", got)
	}
	s.configure(map[string][]string{"1": {"blue"}, "3": {"corp"}})
	if len(names(s, "2")) > 0 || len(names(s, "3")) > 0 {
		t.Errorf("a context is in a group that it was not built for: %v", s.byGroup)
	}
}

// TestRolesFollowTheConfiguration: a group that goes loses its role, and a context is looked
// for in the group that it has now.
func TestRolesFollowTheConfiguration(t *testing.T) {
	r := newRoles(&configs.System{Contexts: []configs.Tenant{{Name: "acme", FailoverGroup: "1"},
		{Name: "alone"}}})
	if from := r.set("1", failover.RoleActive); from == failover.RoleActive {
		t.Error("a group begins as active")
	}
	if from := r.set("1", failover.RoleStandbyReady); from != failover.RoleActive {
		t.Errorf("it was %v", from)
	}
	if group, role := r.ofTenant("acme"); group != "1" || role != failover.RoleStandbyReady {
		t.Errorf("acme is %v in %q", role, group)
	}
	if group, _ := r.ofTenant("alone"); group != "" {
		t.Errorf("a context without a group is in %q", group)
	}
	r.configure(map[string]string{"acme": "2"})
	if r.of("1") == failover.RoleStandbyReady {
		t.Error("the group has gone, and its role has not")
	}
	if group, role := r.ofTenant("acme"); group != "2" || role == failover.RoleStandbyReady {
		t.Errorf("acme is %v in %q", role, group)
	}
}

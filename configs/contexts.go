package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// maxContexts is how many contexts one system has: four times the largest
// appliance of the old world.
const maxContexts = 1000

// readContexts reads the contexts and the files that they name.
func (s *systemReader) readContexts(nodes []*node) {
	if len(nodes) > maxContexts {
		s.problem(nodes[maxContexts].at, "Too many contexts", "A system has at most %d contexts.", maxContexts)
		return
	}
	for _, n := range nodes {
		if !isName(n.label.text, 32) {
			n.problem(n.label.at, "Unusable name", "%q: %s", n.label.text, nameRule(32))
			continue
		}
		if strings.EqualFold(n.label.text, "system") || strings.EqualFold(n.label.text, "null") {
			n.problem(n.label.at, "Reserved name", "%q cannot be the name of a context.", n.label.text)
			continue
		}
		if only, ok := s.loader.(Selective); ok && only.LeaveOut(n.label.text) {
			continue
		}
		s.sys.Contexts = append(s.sys.Contexts, s.readContext(n))
	}
}

func (s *systemReader) readContext(n *node) Tenant {
	c := Tenant{Name: n.label.text, Class: s.classOf(n), FailoverGroup: s.group(n), Suspended: n.boolean("suspended"),
		Spec: &spec.Tenant{}}
	places := map[string]item{}
	for _, a := range n.each("allocate_interface") {
		it, written := a.textItem("name")
		if !written {
			it = a.label
		}
		if len(it.text) > 48 || !isLabel(it.text) {
			n.problem(it.at, "Unusable name",
				"The name of an interface in a context has 1 to 48 letters, digits and signs, and no blanks or quotes.")
			continue
		}
		if other, ok := places[it.text]; ok {
			n.problem(it.at, "Name used twice", "%s has an interface %q already (%s).", n, it.text, place(other.at))
			continue
		}
		places[it.text] = it
		s.allocate(a.label, fmt.Sprintf("context %q", c.Name))
		allocation := Allocation{Interface: a.label.text, Name: it.text}
		if a.written("addresses") {
			allocation.Addresses = a.networks("addresses")
		}
		c.Allocations = append(c.Allocations, allocation)
	}

	for _, b := range n.each("storage") {
		s.readStorage(b, &c)
	}

	url, disk, at, ok := s.configOf(n)
	if !ok {
		return c
	}
	c.Config, s.context = at, c.Name
	defer func() { s.context = "" }()
	file := s.parse(at, url.at, contextSchema)
	if file == nil {
		return c
	}
	t := newTenantReader(file, origin{file: at, disk: disk}, c)
	t.allocations, t.owner, t.tenant = places, n, c
	t.read()
	c.Spec = t.t
	_, c.Spec.Limits = s.member(c.Class)
	c.Guards = s.guardsOf(c.Class)
	t.checkRoutes()
	s.noteWires(c, t.uses)
	return c
}

// classOf returns the class of a context.
func (s *systemReader) classOf(n *node) string {
	it, ok := n.textItem("member")
	if !ok {
		return resource.DefaultClass
	}
	if _, known := s.classes[it.text]; known {
		return it.text
	}
	var names []string
	for _, c := range s.sys.Classes {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	n.problem(it.at, "Unknown class", "There is no class %q.%s", it.text, suggest(it.text, names))
	return resource.DefaultClass
}

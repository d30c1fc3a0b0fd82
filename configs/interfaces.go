package configs

import (
	"cmp"
	"strconv"
	"strings"
)

// readInterfaces reads the interfaces of the system.
func (s *systemReader) readInterfaces(nodes []*node) {
	for _, n := range nodes {
		s.interfaces[n.label.text] = n
	}
	devices := map[string]*node{} // by device, or by parent and VLAN
	for _, n := range nodes {
		i, ok := s.readInterface(n)
		if !ok {
			continue
		}
		key := i.Device
		if i.Parent != "" {
			key = i.Parent + "." + strconv.Itoa(i.VLAN)
		}
		if other := devices[key]; other != nil {
			n.problem(n.at, "Device used twice",
				"%s and %s (%s) are the same device, %s. Give each its own, or keep one and set shared = true on it.",
				n, other, place(other.at), key)
			continue
		}
		devices[key] = n
		s.sys.Interfaces = append(s.sys.Interfaces, i)
	}
	for k, i := range s.sys.Interfaces {
		if parent, ok := s.sys.Interface(i.Parent); ok {
			s.sys.Interfaces[k].Device = parent.Device
		}
	}
}

func (s *systemReader) readInterface(n *node) (Interface, bool) {
	i := Interface{Name: n.label.text, Shared: n.boolean("shared")}
	if !n.checkLabel() {
		return i, false
	}
	parent, number, isSub := strings.Cut(i.Name, ".")
	if !isSub {
		return s.readWhole(n, i)
	}
	i.Parent = parent
	if n.written("device") {
		n.problem(n.where("device"), "Unexpected device",
			"%s is a subinterface: its device is that of %q. For a whole device choose a name without a dot.", n,
			parent)
		return i, false
	}
	if s.interfaces[parent] == nil {
		n.problem(n.label.at, "Unknown interface",
			"%s is a subinterface of %q, which is not declared. Add interface %q { device = \"...\" }.", n,
			parent, parent)
		return i, false
	}
	def, err := strconv.ParseUint(number, 10, 16)
	if !n.written("vlan") && (err != nil || def < 1 || def > 4094) {
		n.problem(n.label.at, "Missing vlan", "%q is no 802.1Q identifier; set vlan = 1 to 4094 in %s.", number, n)
		return i, false
	}
	i.VLAN = cmp.Or(int(n.number("vlan")), int(def))
	return i, true
}

// readWhole reads an interface that is a device.
func (s *systemReader) readWhole(n *node, i Interface) (Interface, bool) {
	if n.written("vlan") {
		n.problem(n.where("vlan"), "Unexpected vlan",
			"%s is a whole device; a subinterface has a dot in its name, like interface %q { vlan = 200 }.", n,
			i.Name+".200")
	}
	if !n.written("device") {
		n.problem(n.at, "Missing device",
			"%s needs device: the name of a Linux device; write, for example, device = \"eth1\".", n)
		return i, false
	}
	i.Device = n.text("device")
	if len(i.Device) > 15 || !isLabel(i.Device) || strings.ContainsAny(i.Device, "/:%") || i.Device == "." ||
		i.Device == ".." {
		n.problem(n.where("device"), "Unusable device",
			"%q is no name of a Linux device: 1 to 15 characters, no blank, slash, colon or percent sign.", i.Device)
		return i, false
	}
	return i, true
}

// allocate notes that owner has the interface, and tells where that cannot be.
func (s *systemReader) allocate(name item, owner string) bool {
	n := s.interfaces[name.text]
	if n == nil {
		var names []string
		for _, i := range s.sys.Interfaces {
			names = append(names, i.Name)
		}
		hint := suggest(name.text, names)
		if parent, _, isSub := strings.Cut(name.text, "."); isSub && s.interfaces[parent] != nil {
			hint = " Declare the subinterface: interface " + strconv.Quote(name.text) + " {}."
		}
		s.problem(name.at, "Unknown interface", "The system has no interface %q.%s", name.text, hint)
		return false
	}
	i, ok := s.sys.Interface(name.text)
	if !ok {
		return false // its declaration is wrong, which was told
	}
	other, taken := s.allocated[i.Name]
	if taken && !i.Shared {
		s.problem(name.at, "Interface allocated twice",
			"Interface %q already belongs to %s (%s). Allocate another, or set shared = true in interface %q (%s).",
			i.Name, other.owner, place(other.at), i.Name, place(n.at))
		return false
	}
	for _, sub := range s.sys.Interfaces {
		if sub.Parent == i.Name && !i.Shared {
			s.problem(name.at, "Interface has subinterfaces",
				"Interface %q would move into %s and take %q (%s) with it. Allocate subinterfaces only, or set "+
					"shared = true in interface %q (%s).", i.Name, owner, sub.Name, place(s.interfaces[sub.Name].at),
				i.Name, place(n.at))
			return false
		}
	}
	s.allocated[i.Name] = allocationPlace{owner, name.at}
	return true
}

package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// leastOf is the smallest limit with which a context can live and work.
var leastOf = map[resource.Name]float64{
	resource.CPU:    0.01,
	resource.Memory: 16 << 20,
	resource.PIDs:   16,
	// A file of a context's configuration fits.
	resource.Storage: 64 << 10,
	// The hosts of a small network, and the router.
	resource.MACAddresses: 16,
	// One big packet may pass in a second.
	resource.BandwidthIn:  1e6,
	resource.BandwidthOut: 1e6,
	resource.Packets:      100,
}

// meaningless are limits that ration what Warren does not have, each with the
// reason.
var meaningless = map[string]string{
	"xlates":          "Warren translates no addresses",
	"hosts":           "Warren keeps no table of hosts; vpn_anyconnect and vpn_other count those that connect",
	"conns":           "Warren keeps no table of connections: a packet belongs to an SA, whatever connection it is of",
	"inspects":        "Warren inspects no payload",
	"ssh":             "who manages a context comes through the API, and api_sessions caps that",
	"telnet":          "who manages a context comes through the API, and api_sessions caps that",
	"asdm":            "who manages a context comes through the API, and api_sessions caps that",
	"http":            "who manages a context comes through the API, and api_sessions caps that",
	"radius_requests": "Warren asks no RADIUS server, so that there is no request to limit",
}

// guarded are the limits of the class "default" where the file says nothing of
// them: what one context could take from all others, before anybody has thought
// about classes. They fit a tenant with some thousand sessions.
var guarded = map[resource.Name]float64{
	resource.InNegotiation: defaultMaxHalfOpen,
	resource.Setups:        100,
	resource.Syslogs:       100,
	resource.Memory:        512 << 20,
	resource.PIDs:          64,
}

// guard fills in what the class "default" leaves out of guarded.
func (s *systemReader) guard(c *resource.Class) {
	if c.Limits == nil {
		c.Limits = map[resource.Name]resource.Limit{}
	}
	s.guards = nil
	for _, k := range resource.Kinds() {
		amount, ok := guarded[k.Name]
		if ok && !s.says(*c, k.Name) {
			c.Limits[k.Name] = resource.Limit{Amount: amount}
			s.guards = append(s.guards, k.Name)
		}
	}
}

// says reports whether a class itself says something of a limit.
func (s *systemReader) says(c resource.Class, name resource.Name) bool {
	_, named := c.Limits[name]
	return named || c.All != nil && !(c.All.Percent && s.sys.Totals[name] == 0)
}

// guardsOf returns the limits of a member of the class that no class says
// anything of.
func (s *systemReader) guardsOf(class string) []resource.Name {
	if class == resource.DefaultClass {
		return s.guards
	}
	return slices.DeleteFunc(slices.Clone(s.guards), func(name resource.Name) bool {
		return s.says(s.classes[class], name)
	})
}

// readClasses reads the resource classes. The class "default" is there even
// where the file has none.
func (s *systemReader) readClasses(nodes []*node) {
	s.sys.Classes = []resource.Class{{Name: resource.DefaultClass}}
	s.guard(&s.sys.Classes[0])
	for _, n := range nodes {
		if !n.checkLabel() {
			continue
		}
		c := resource.Class{Name: n.label.text, Limits: map[resource.Name]resource.Limit{}}
		for _, limits := range n.each("limits") {
			limits.readLimits(&c)
		}
		if c.Name == resource.DefaultClass {
			s.guard(&c)
			s.sys.Classes[0] = c
			continue
		}
		s.sys.Classes = append(s.sys.Classes, c)
	}
	for _, c := range s.sys.Classes {
		s.classes[c.Name] = c
		for _, n := range nodes {
			if n.label.text == c.Name {
				s.checkClass(n, c)
			}
		}
	}
}

// checkClass tells what is wrong with a class as its members would have it, where
// it stands. What a class has from the class "default" is told there.
func (s *systemReader) checkClass(n *node, c resource.Class) {
	for _, k := range resource.Kinds() {
		if l := c.Limits[k.Name]; l.Percent && !l.Unlimited() && s.sys.Totals[k.Name] == 0 {
			n.problem(n.whereLimit(k.Name), "Percentage of something unknown",
				"How much there is of %s is not known. Write an absolute number, or set %s in system { limits { "+
					"... } }.",
				k.Name, k.Name)
		}
	}
	limits, err := resource.Resolve(c, s.sys.Classes[0], s.sys.Totals)
	if err != nil {
		return // told above, or in the class "default"
	}
	for _, k := range resource.Kinds() {
		if amount := limits[k.Name]; amount > 0 && amount < leastOf[k.Name] && s.says(c, k.Name) {
			n.problem(n.whereLimit(k.Name), "Limit too small",
				"The percentage makes %s of %s, and a context cannot work with less than %s.",
				amountText(amount, k.Unit), k.Name, amountText(leastOf[k.Name], k.Unit))
		}
	}
	if limits[resource.InNegotiationOld] > 0 && (c.Limits[resource.InNegotiationOld] != resource.Limit{}) {
		n.warning(n.at, "Nothing in negotiation",
			"Warren speaks IKEv2 only, so that an IKEv1 SA is never in negotiation: ikev1_in_negotiation caps what "+
				"does not occur. Requests that were turned away are counted as denied.")
	}
}

// whereLimit returns the place of what the class n says of a limit: its own
// attribute, else "all", else the class.
func (n *node) whereLimit(name resource.Name) hcl.Range {
	for _, limits := range n.each("limits") {
		for _, attribute := range []string{string(name), "all"} {
			if limits.written(attribute) {
				return limits.where(attribute)
			}
		}
	}
	return n.at
}

// readLimits reads a block "limits" of a class into c.
func (n *node) readLimits(c *resource.Class) {
	names := []string{"all"}
	for _, k := range resource.Kinds() {
		names = append(names, string(k.Name))
	}
	for _, v := range n.ordered() {
		kind, known := resource.Lookup(resource.Name(v.name))
		switch {
		case v.broken || v.val.IsNull():
		case v.name == "all":
			if l, ok := n.limit(v, resource.Kind{Name: "all"}); ok {
				c.All = &l
			}
		case known:
			if l, ok := n.limit(v, kind); ok {
				c.Limits[kind.Name] = l
			}
		case meaningless[v.name] != "":
			n.problem(v.at, "Limit without meaning", "%q has no meaning here: %s. Remove it.", v.name,
				meaningless[v.name])
		default:
			n.problem(v.at, "Unknown limit", "A class has no limit %q.%s", v.name, suggest(v.name, names))
		}
	}
	n.warnLifted(c)
}

// warnLifted tells where a class lifts limits that guard all contexts against
// one.
func (n *node) warnLifted(c *resource.Class) {
	const summary, detail = "Limit lifted",
		"%s: one context of %s can take all that there is, from all others. Without a word it is limited: %s."
	var lifted []string
	for _, k := range resource.Kinds() {
		amount, ok := guarded[k.Name]
		if !ok {
			continue
		}
		text := fmt.Sprintf("%s to %s", k.Name, amountText(amount, k.Unit))
		switch l, named := c.Limits[k.Name]; {
		case named && l.Unlimited():
			n.warning(n.where(string(k.Name)), summary, detail, fmt.Sprintf("%s = 0 is unlimited", k.Name),
				"class "+strconv.Quote(c.Name), text)
		case !named && c.All != nil && c.All.Unlimited():
			lifted = append(lifted, text)
		}
	}
	if lifted != nil {
		n.warning(n.where("all"), summary, detail, "all = 0 is unlimited", "class "+strconv.Quote(c.Name),
			strings.Join(lifted, ", "))
	}
}

// ordered returns the attributes in the order of the file.
func (n *node) ordered() []*value {
	var out []*value
	for _, v := range n.values {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *value) int { return a.at.Start.Byte - b.at.Start.Byte })
	return out
}

// limit reads one limit: 0, an absolute number, a size, or a percentage.
func (n *node) limit(v *value, k resource.Kind) (resource.Limit, bool) {
	if text, ok := stringOf(v); ok && strings.HasSuffix(text, "%") {
		p, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err != nil || !(p >= 0.001 && p <= 100) {
			n.problem(v.at, "Percentage out of range",
				`A percentage is from "0.001%%" to "100%%"; 0 without a percent sign is unlimited.`)
			return resource.Limit{}, false
		}
		return resource.Limit{Amount: p, Percent: true}, true
	}
	amount, ok := amountOf(v, k.Unit)
	switch {
	case k.Name == "all" && (!ok || amount != 0):
		n.problem(v.at, "Unusable limit",
			`all is 0 (unlimited) or a percentage, such as "10%%": an absolute number would mean something else for each resource.`)
	case !ok:
		n.problem(v.at, "Unusable limit", "%s is %s.", v.name, unitRule(k.Unit))
	case amount != 0 && amount < leastOf[k.Name]:
		n.problem(v.at, "Limit too small", "A context cannot work with less than %s of %s.",
			amountText(leastOf[k.Name], k.Unit), v.name)
	default:
		return resource.Limit{Amount: amount}, true
	}
	return resource.Limit{}, false
}

// member returns the limits of a member of the class, for the worker.
func (s *systemReader) member(class string) (resource.Limits, spec.Limits) {
	limits, err := resource.Resolve(s.classes[class], s.classes[resource.DefaultClass], s.sys.Totals)
	if err != nil {
		return nil, spec.Limits{} // told in readClasses
	}
	return limits, spec.Limits{
		Sessions:        int(limits[resource.Sessions]),
		SiteToSite:      int(limits[resource.SiteToSite]),
		BurstSessions:   int(limits[resource.BurstSessions]),
		BurstSiteToSite: int(limits[resource.BurstSiteToSite]),
		InNegotiate:     int(limits[resource.InNegotiation]),
		InNegotiateOld:  int(limits[resource.InNegotiationOld]),
		Setups:          int(limits[resource.Setups]),
		BandwidthIn:     int64(limits[resource.BandwidthIn]),
		BandwidthOut:    int64(limits[resource.BandwidthOut]),
		Packets:         int64(limits[resource.Packets]),
		Routes:          int(limits[resource.Routes]),
		MACAddresses:    int(limits[resource.MACAddresses]),
		APISessions:     int(limits[resource.APISessions]),
		Syslogs:         int(limits[resource.Syslogs]),
		Storage:         int64(limits[resource.Storage]),
		StorageFiles:    int(limits[resource.StorageFiles]),
		CPU:             limits[resource.CPU],
		Memory:          int64(limits[resource.Memory]),
		PIDs:            int(limits[resource.PIDs]),
	}
}

// checkGuarantees tells where the classes promise more than there is, and who
// can have nothing because all is promised to others.
func (s *systemReader) checkGuarantees(contexts []*node) {
	var members []resource.Limits
	shares := map[resource.Name][]string{}
	for _, c := range s.sys.Contexts {
		limits, _ := s.member(c.Class)
		members = append(members, limits)
		for name, amount := range limits {
			shares[name] = append(shares[name], fmt.Sprintf("%s %g", c.Name, amount))
		}
	}
	over := resource.Oversubscribed(members, s.sys.Totals)
	for _, k := range resource.Kinds() {
		if !k.Guarantee {
			continue
		}
		if sum, ok := over[k.Name]; ok {
			s.problem(contexts[len(contexts)-1].at, "More promised than there is",
				"%s is a guarantee: %s make %g, and system { limits { vpn_sessions } } is %g. Lower the limits of "+
					"the classes, or raise vpn_sessions.",
				k.Name, strings.Join(shares[k.Name], " + "), sum, s.sys.Totals[k.Name])
			continue
		}
		if resource.Remainder(k.Name, members, s.sys.Totals) > 0 {
			continue
		}
		for i, c := range s.sys.Contexts {
			if members[i][k.Name] != 0 {
				continue
			}
			for _, n := range contexts {
				if n.label.text == c.Name {
					n.warning(n.at, "Nothing left",
						"%s of all contexts together promise all of vpn_sessions, %g; context %q is promised "+
							"nothing, and there is no rest for it.", k.Name, s.sys.Totals[k.Name], c.Name)
				}
			}
		}
	}
}

// checkRoutes tells of a context with more static routes than its class allows.
func (t *tenantReader) checkRoutes() {
	routes, most := t.each("route"), t.t.Limits.Routes
	if most > 0 && len(routes) > most {
		t.problem(routes[most].at, "Too many routes",
			"The context has %d routes, and routes = %d in its class %q. Remove some, or raise the limit.", len(routes),
			most, t.t.Class)
	}
}

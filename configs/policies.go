package configs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/context/spec"
)

// none is the value of an attribute of a group policy that stands for nothing: no
// server, no time-out, no text. Other than an attribute that is left out, it stops
// inheritance.
const none = "none"

// policyAttribute reads one attribute of a group policy. It is not called where the
// attribute is left out.
type policyAttribute struct {
	name spec.Attribute
	also string // an attribute beside it, of which one is written at most; "": there is none
	// read reads it as it is written, and clear makes it nothing; nil: it cannot be "none",
	// for the reason that why says.
	read  func(t *tenantReader, n *node, a *spec.PolicyAttributes)
	clear func(a *spec.PolicyAttributes)
	why   string
}

// policyAttributes are the attributes of a group policy.
var policyAttributes = []policyAttribute{
	{name: spec.DNSServers,
		read: func(_ *tenantReader, n *node, a *spec.PolicyAttributes) {
			a.DNSServers = n.servers("dns_servers", maxDNSServers)
		},
		clear: func(a *spec.PolicyAttributes) { a.DNSServers = nil }},
	{name: spec.WINSServers,
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.WINSServers = n.winsServers() },
		clear: func(a *spec.PolicyAttributes) { a.WINSServers = nil }},
	{name: spec.DefaultDomain,
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.DefaultDomain = n.line("default_domain") },
		clear: func(a *spec.PolicyAttributes) { a.DefaultDomain = "" }},
	{name: spec.Split, also: "split_exclude",
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { n.split(a) },
		clear: func(a *spec.PolicyAttributes) { a.SplitTunnel, a.SplitExclude = nil, nil }},
	{name: spec.SplitDNS,
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.SplitDNS = n.domains("split_dns") },
		clear: func(a *spec.PolicyAttributes) { a.SplitDNS = nil }},
	{name: spec.AddressPools,
		read: func(t *tenantReader, n *node, a *spec.PolicyAttributes) {
			if a.AddressPools, a.InterfacePools = t.poolNames(n); len(a.AddressPools) == 0 {
				a.AddressPools = nil
			}
		},
		clear: func(a *spec.PolicyAttributes) { a.AddressPools, a.InterfacePools = []string{}, nil }},
	{name: spec.TunnelProtocols,
		read: func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.TunnelProtocols = n.protocols() },
		why:  "Without a protocol nobody can connect; to turn everybody away write simultaneous_logins = 0."},
	{name: spec.SessionTimeout,
		read: func(_ *tenantReader, n *node, a *spec.PolicyAttributes) {
			a.SessionTimeout = n.duration("session_timeout")
		},
		clear: func(a *spec.PolicyAttributes) { a.SessionTimeout = 0 }},
	{name: spec.IdleTimeout,
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.IdleTimeout = n.duration("idle_timeout") },
		clear: func(a *spec.PolicyAttributes) { a.IdleTimeout = 0 }},
	{name: spec.Banner,
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.Banner = n.banner() },
		clear: func(a *spec.PolicyAttributes) { a.Banner = "" }},
	{name: spec.SimultaneousLogins,
		read: func(_ *tenantReader, n *node, a *spec.PolicyAttributes) {
			a.SimultaneousLogins = n.logins("simultaneous_logins")
		},
		why: `It would mean nobody to one and no bound to another reader: write 0 or "unlimited".`},
	{name: spec.AccessHours,
		read:  func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.AccessHours = n.hours("access_hours") },
		clear: func(a *spec.PolicyAttributes) { a.AccessHours = nil }},
	{name: spec.TimeZone,
		read: func(_ *tenantReader, n *node, a *spec.PolicyAttributes) { a.TimeZone = n.timeZone() },
		why:  `Hours are those of some zone: write "UTC", or leave it out.`},
	{name: spec.GroupLock,
		read:  func(t *tenantReader, n *node, a *spec.PolicyAttributes) { a.GroupLock = t.groupLock(n) },
		clear: func(a *spec.PolicyAttributes) { a.GroupLock = "" }},
}

// readGroupPolicies reads the group policies. What one leaves out it inherits
// from DfltGrpPolicy, which is there even where the file has none.
func (t *tenantReader) readGroupPolicies() {
	base := spec.GroupPolicy{Name: defaultGroupPolicy, PolicyAttributes: spec.PolicyAttributes{
		TunnelProtocols: []spec.Protocol{spec.IKEv2}, SimultaneousLogins: defaultLogins}}
	n := t.groupPolicies[defaultGroupPolicy]
	if n == nil {
		n = t.empty("group_policy")
		n.label.text = defaultGroupPolicy
	}
	base = t.groupPolicy(n, base)
	t.t.GroupPolicies = []spec.GroupPolicy{base}
	for _, n := range t.each("group_policy") {
		if n.label.text != defaultGroupPolicy && n.checkLabel() {
			t.t.GroupPolicies = append(t.t.GroupPolicies, t.groupPolicy(n, base))
		}
	}
}

// groupPolicy reads one group policy, which inherits from g.
func (t *tenantReader) groupPolicy(n *node, g spec.GroupPolicy) spec.GroupPolicy {
	g.Name, g.Sets = n.label.text, []spec.Attribute{}
	for i := range policyAttributes {
		if a := &policyAttributes[i]; a.written(n) {
			g.Sets = append(g.Sets, a.name)
			a.apply(t, n, &g.PolicyAttributes)
		}
	}
	if len(g.SplitDNS) > 0 && len(g.DNSServers) == 0 {
		n.warning(n.where("split_dns"), "Domains without a server",
			"%s has split_dns, and no dns_servers that could be asked about these domains (RFC 8598 section 3): a "+
				"client is told of them only where another policy of its session has some.", n)
	}
	return g
}

func (a *policyAttribute) written(n *node) bool {
	return n.written(string(a.name)) || a.also != "" && n.written(a.also)
}

// apply sets the attribute to what is written.
func (a *policyAttribute) apply(t *tenantReader, n *node, to *spec.PolicyAttributes) {
	name := string(a.name)
	if a.also != "" && n.written(a.also) {
		if n.written(name) {
			n.problem(n.where(a.also), "Both ways at once", "%s and %s (%s) exclude each other: write one of them.",
				a.also, name, place(n.where(name)))
			return
		}
		name = a.also
	}
	switch {
	case !n.none(name):
		a.read(t, n, to)
	case a.clear == nil:
		n.problem(n.where(name), "Unusable value", "%s cannot be %q. %s", name, none, a.why)
	default:
		a.clear(to)
	}
}

// none reports whether an attribute is the word that stands for nothing.
func (n *node) none(name string) bool {
	v, ok := n.get(name)
	if !ok {
		return false
	}
	text, isText := stringOf(v)
	return isText && text == none
}

// servers returns an attribute that is a list of so many addresses at most.
func (n *node) servers(name string, most int) []netip.Addr {
	out := n.addresses(name)
	if len(out) > most {
		n.problem(n.where(name), "Too many servers", "A client is told at most %d in %s.", most, name)
	}
	return out
}

// winsServers returns name servers of NetBIOS, which have IPv4 addresses (RFC 7296
// section 3.15.1).
func (n *node) winsServers() []netip.Addr {
	out := n.servers("wins_servers", maxWINSServers)
	for _, a := range out {
		if !a.Is4() {
			n.problem(n.where("wins_servers"), "Unusable address",
				"%s is an IPv6 address, and IKEv2 can name WINS servers by IPv4 addresses only.", a)
		}
	}
	return out
}

// banner returns the text that a client shows.
func (n *node) banner() string {
	text := n.text("banner")
	if len(text) > maxBanner {
		n.problem(n.where("banner"), "Banner too long", "A banner has at most %d bytes.", maxBanner)
	}
	return text
}

// protocols returns what a session may come by.
func (n *node) protocols() (out []spec.Protocol) {
	list := n.texts("tunnel_protocols")
	for _, it := range list {
		if it.text != string(spec.IKEv2) {
			n.problem(it.at, "Unknown protocol", "%q is no tunnel protocol of Warren.%s", it.text,
				suggest(it.text, []string{string(spec.IKEv2)}))
			continue
		}
		out = append(out, spec.IKEv2)
	}
	if len(list) == 0 {
		n.problem(n.where("tunnel_protocols"), "Empty list",
			"Without a protocol nobody can connect; remove tunnel_protocols for the default.")
	}
	return out
}

// logins returns an attribute that is a number of sessions, or "unlimited".
func (n *node) logins(name string) int {
	if v, ok := n.get(name); ok {
		switch text, isText := stringOf(v); {
		case text == "unlimited":
			return spec.UnlimitedLogins
		case isText:
			n.wrong(v, `a number of sessions, without quotes, or "unlimited"; 0: nobody may log in`)
			return 0
		}
	}
	return int(n.number(name))
}

// split reads split_tunnel, or split_exclude, which is made into the networks that are
// left: a client knows of no other form (RFC 7296 section 3.15.1).
func (n *node) split(a *spec.PolicyAttributes) {
	a.SplitTunnel, a.SplitExclude = nil, nil
	if !n.written("split_exclude") {
		a.SplitTunnel = n.selectors("split_tunnel")
		return
	}
	a.SplitExclude = n.networks("split_exclude")
	if len(a.SplitExclude) == 0 {
		return
	}
	a.SplitTunnel = allBut(a.SplitExclude)
	switch {
	case len(a.SplitTunnel) == 0:
		n.problem(n.where("split_exclude"), "Nothing is left",
			"split_exclude names all networks, so that none is left for the tunnel.")
	case len(a.SplitTunnel) > maxSelectors:
		n.problem(n.where("split_exclude"), "Too many networks",
			"Everything without %s consists of more than %d networks, the most that an SA carries: leave out fewer, "+
				"or larger ones.", networkList(a.SplitExclude), maxSelectors)
	}
}

// allBut returns the networks of which everything else than these consists, of both
// families, or nil: more than maxSelectors are not counted out.
func allBut(out []netip.Prefix) (left []netip.Prefix) {
	var divide func(p netip.Prefix)
	divide = func(p netip.Prefix) {
		switch {
		case len(left) > maxSelectors:
		case slices.ContainsFunc(out, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Overlaps(p) }):
		case !slices.ContainsFunc(out, p.Overlaps):
			left = append(left, p)
		default:
			low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
			divide(low)
			divide(netip.PrefixFrom(lastOf(low).Next(), p.Bits()+1))
		}
	}
	divide(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	divide(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	return left
}

// domains returns an attribute that is a list of names of domains.
func (n *node) domains(name string) (out []string) {
	list := n.texts(name)
	if len(list) > maxSplitDNS {
		n.problem(n.where(name), "Too many domains", "A client is told at most %d in %s.", maxSplitDNS, name)
		return nil
	}
	for _, it := range list {
		if !isDomain(it.text) {
			n.problem(it.at, "Unusable domain", `%q is no domain; one is written like "corp.example".`, it.text)
			continue
		}
		out = append(out, it.text)
	}
	return out
}

// isDomain reports whether text is the name of a domain in the form that is sent:
// labels of letters, digits, hyphens and underscores (RFC 8598 section 3.1).
func isDomain(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return r != '-' && r != '_' && !isAlphanumeric(r) }) {
			return false
		}
	}
	return true
}

// groupLock returns the tunnel group that the sessions of a policy are bound to.
func (t *tenantReader) groupLock(n *node) string {
	it, ok := n.textItem("group_lock")
	if ok && t.tunnelGroups[it.text] == nil {
		n.problem(it.at, "Unknown tunnel group", "There is no tunnel_group %q.%s", it.text,
			suggest(it.text, names(t.tunnelGroups)))
	}
	return it.text
}

// timeZone returns the name of a zone that there is.
func (n *node) timeZone() string {
	it, ok := n.textItem("time_zone")
	if !ok {
		return ""
	}
	if _, err := spec.Zone(it.text); err != nil || it.text == "Local" || it.text == "" {
		n.problem(it.at, "Unknown time zone",
			`%q is no time zone of the IANA; one is written like "Europe/Berlin", or "UTC".`, it.text)
		return ""
	}
	return it.text
}

// weekdays are the words for days, in the order of time.Weekday.
var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// hours returns an attribute that is a list of hours of days: "Mon-Fri 07:00-20:00".
func (n *node) hours(name string) (out []spec.Hours) {
	list := n.texts(name)
	if len(list) > maxHours {
		n.problem(n.where(name), "Too many hours", "%s has at most %d elements.", name, maxHours)
		return nil
	}
	for _, it := range list {
		h, ok := parseHours(it.text)
		if !ok {
			n.problem(it.at, "Unusable hours",
				`%q are no hours of days; write "Mon-Fri 07:00-20:00", "Sat 08:00-12:00" or "daily 06:00-24:00". `+
					`For hours over midnight write two.`, it.text)
			continue
		}
		out = append(out, h)
	}
	return out
}

// parseHours reads "Mon-Fri 07:00-20:00".
func parseHours(text string) (h spec.Hours, ok bool) {
	days, times, _ := strings.Cut(text, " ")
	if h.Days, ok = parseDays(days); !ok {
		return h, false
	}
	from, to, _ := strings.Cut(times, "-")
	if h.From, ok = parseMinute(from); !ok {
		return h, false
	}
	h.To, ok = parseMinute(to)
	return h, ok && h.From < h.To
}

// parseDays reads "Mon", "Mon-Fri", which may go over the end of a week, or "daily".
func parseDays(text string) (days uint8, ok bool) {
	if text == "daily" {
		return 1<<7 - 1, true
	}
	from, to, isRange := strings.Cut(text, "-")
	first, last := slices.Index(weekdays, from), slices.Index(weekdays, to)
	if !isRange {
		last = first
	}
	if first < 0 || last < 0 {
		return 0, false
	}
	for d := first; ; d = (d + 1) % 7 {
		days |= 1 << d
		if d == last {
			return days, true
		}
	}
}

// parseMinute reads "07:00", from 00:00 to 24:00.
func parseMinute(text string) (int, bool) {
	var hour, minute int
	if n, err := fmt.Sscanf(text, "%d:%d", &hour, &minute); n != 2 || err != nil ||
		fmt.Sprintf("%02d:%02d", hour, minute) != text || minute > 59 {
		return 0, false
	}
	of := 60*hour + minute
	return of, of >= 0 && of <= 24*60
}

// poolNames returns address_pools, each of which exists: those for all interfaces, and
// those for some.
func (t *tenantReader) poolNames(n *node) (all []string, by []spec.InterfacePools) {
	v, ok := n.get("address_pools")
	if !ok {
		return nil, nil
	}
	fs, isObject := n.entries(v)
	if !isObject {
		return t.poolList(n, n.texts("address_pools"), v), nil
	}
	for _, f := range fs {
		pools := t.poolList(n, n.textsOf(f.val), f.val)
		switch {
		case f.name.text == "*":
			all = pools
		case slices.ContainsFunc(by, func(b spec.InterfacePools) bool { return b.Interface == f.name.text }):
			n.problem(f.name.at, "Duplicate value", "%q has pools already.", f.name.text)
		default:
			if _, ok := t.interfaceCalled(n, f.name); ok {
				by = append(by, spec.InterfacePools{Interface: f.name.text, Pools: pools})
			}
		}
	}
	return all, by
}

// poolList returns the names of pools in a list.
func (t *tenantReader) poolList(n *node, list []item, v *value) (out []string) {
	for _, it := range list {
		if t.pools[it.text] == nil {
			n.problem(it.at, "Unknown pool", "There is no ip_pool %q.%s", it.text, suggest(it.text, names(t.pools)))
			continue
		}
		out = append(out, it.text)
	}
	if len(out) > maxPools {
		n.problem(v.at, "Too many pools", "A group has at most %d pools.", maxPools)
	}
	return out
}

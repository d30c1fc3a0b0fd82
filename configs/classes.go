package configs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/resource"
)

// leastOf is the smallest limit with which a worker can live and work.
var leastOf = map[resource.Name]float64{
	resource.CPU:    0.01,
	resource.Memory: 16 << 20,
	resource.PIDs:   16,
	// A file of the worker's configuration fits.
	resource.Storage: 64 << 10,
}

// meaningless are limits of the appliance world that ration what Warren does
// not have.
var meaningless = []string{"xlates", "hosts", "conns", "inspects"}

// readClasses reads the resource classes. The class "default" is there even
// where the file has none: unlimited.
func (s *systemReader) readClasses(nodes []*node) {
	s.sys.Classes = []resource.Class{{Name: resource.DefaultClass}}
	for _, n := range nodes {
		if !n.checkLabel() {
			continue
		}
		c := resource.Class{Name: n.label.text, Limits: map[resource.Name]resource.Limit{}}
		for _, limits := range n.each("limits") {
			limits.readLimits(&c)
		}
		if c.Name == resource.DefaultClass {
			s.sys.Classes[0] = c
			continue
		}
		s.sys.Classes = append(s.sys.Classes, c)
	}
	for _, c := range s.sys.Classes {
		s.classes[c.Name] = c
		if _, err := resource.Resolve(c, s.sys.Classes[0], s.sys.Totals); err != nil {
			for _, n := range nodes {
				if n.label.text == c.Name {
					n.problem(n.at, "Percentage of something unknown", "%s. Write an absolute number, or set it in system { limits { ... } }.", strings.TrimPrefix(err.Error(), "resource: "))
				}
			}
		}
	}
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
		case slices.Contains(meaningless, v.name):
			n.problem(v.at, "Unknown limit", "%q has no meaning here: Warren keeps no such table. Possible here: %s.", v.name, strings.Join(names, ", "))
		default:
			n.problem(v.at, "Unknown limit", "%q is nothing that a class limits.%s", v.name, suggest(v.name, names))
		}
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
			n.problem(v.at, "Percentage out of range", `A percentage is from "0.001%%" to "100%%"; 0 without a percent sign is unlimited.`)
			return resource.Limit{}, false
		}
		return resource.Limit{Amount: p, Percent: true}, true
	}
	amount, ok := amountOf(v, k.Unit)
	switch {
	case k.Name == "all" && (!ok || amount != 0):
		n.problem(v.at, "Unusable limit", `all is 0 (unlimited) or a percentage, such as "10%%": an absolute number would mean something else for each resource.`)
	case !ok:
		n.problem(v.at, "Unusable limit", "%s is %s.", v.name, unitRule(k.Unit))
	case amount != 0 && amount < leastOf[k.Name]:
		n.problem(v.at, "Limit too small", "A context cannot work with less than %s of %s.", amountText(leastOf[k.Name], k.Unit), v.name)
	default:
		return resource.Limit{Amount: amount}, true
	}
	return resource.Limit{}, false
}

// stringOf returns the value if it is text.
func stringOf(v *value) (string, bool) {
	if v.val.Type() != cty.String {
		return "", false
	}
	return v.val.AsString(), true
}

// amountOf returns an absolute amount of a unit.
func amountOf(v *value, u resource.Unit) (float64, bool) {
	const most = 1 << 52 // whole numbers up to here are exact
	if text, ok := stringOf(v); ok {
		if u != resource.Bytes {
			return 0, false
		}
		return parseSize(text)
	}
	if v.val.Type() != cty.Number {
		return 0, false
	}
	f, _ := v.val.AsBigFloat().Float64()
	if !(f >= 0 && f <= most) || u != resource.Cores && f != math.Trunc(f) {
		return 0, false
	}
	return f, true
}

func unitRule(u resource.Unit) string {
	switch u {
	case resource.Cores:
		return `a number of cores, such as 0.5, a percentage, such as "50%", or 0 (unlimited)`
	case resource.Bytes:
		return `a size, such as "256MiB", a percentage, such as "10%", or 0 (unlimited)`
	}
	return `a whole number, a percentage, such as "50%", or 0 (unlimited)`
}

func amountText(amount float64, u resource.Unit) string {
	if u == resource.Bytes {
		return sizeText(amount)
	}
	return fmt.Sprintf("%g", amount)
}

// sizeText is the longest unit that leaves a whole number.
func sizeText(bytes float64) string {
	for _, u := range []struct {
		suffix string
		factor float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n := bytes / u.factor; n >= 1 && n == math.Trunc(n) {
			return fmt.Sprintf("%g%s", n, u.suffix)
		}
	}
	return fmt.Sprintf("%g bytes", bytes)
}

// sizeUnits are the units of sizes, in bytes.
var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// parseSize reads a size with its unit.
func parseSize(text string) (float64, bool) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		count, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 40)
		size := float64(count) * u.factor
		return size, err == nil && size <= 1<<52
	}
	return 0, false
}

// size returns an attribute that is a size, or def.
func (n *node) size(name string, def float64) float64 {
	v, ok := n.get(name)
	if !ok {
		return def
	}
	size, ok := amountOf(v, resource.Bytes)
	if !ok || size == 0 {
		n.wrong(v, `a size, such as "16GiB"`)
		return def
	}
	return size
}

// member returns the limits of a member of the class, for the worker.
func (s *systemReader) member(class string) (resource.Limits, spec.Limits) {
	limits, err := resource.Resolve(s.classes[class], s.classes[resource.DefaultClass], s.sys.Totals)
	if err != nil {
		return nil, spec.Limits{} // told in readClasses
	}
	return limits, spec.Limits{
		Sessions:    int(limits[resource.Sessions]),
		SiteToSite:  int(limits[resource.SiteToSite]),
		InNegotiate: int(limits[resource.InNegotiation]),
		CPU:         limits[resource.CPU],
		Memory:      int64(limits[resource.Memory]),
		PIDs:        int(limits[resource.PIDs]),
		Storage:     int64(limits[resource.Storage]),
	}
}

// checkGuarantees tells where the classes promise more than there is.
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
		if sum, ok := over[k.Name]; ok {
			s.problem(contexts[len(contexts)-1].at, "More promised than there is", "%s is a guarantee: %s make %g, and system { limits { vpn_sessions } } is %g. Lower the limits of the classes, or raise vpn_sessions.",
				k.Name, strings.Join(shares[k.Name], " + "), sum, s.sys.Totals[k.Name])
		}
	}
}

package configs

import (
	"cmp"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/warrenvpn/warren/esp/sa"
)

// wrong tells that a value is of another type than the one described.
func (n *node) wrong(v *value, description string) {
	n.problem(v.at, "Unusable value", "%s is %s.", v.name, description)
}

// asText returns the value as text.
func (n *node) asText(v *value, description string) (item, bool) {
	if v.broken || v.val.IsNull() || v.val.Type() != cty.String {
		if !v.broken {
			n.wrong(v, description)
		}
		return item{}, false
	}
	return item{v.val.AsString(), v.at}, true
}

// text returns an attribute that is text of any form, or "".
func (n *node) text(name string) string {
	if v, ok := n.get(name); ok {
		if it, ok := n.asText(v, `text in quotes`); ok {
			return it.text
		}
	}
	return ""
}

// line returns an attribute that is one line of text.
func (n *node) line(name string) string {
	k := kindOf[line](n, name)
	v, ok := n.get(name)
	if !ok {
		return k.def
	}
	it, ok := n.asText(v, `text in quotes`)
	if !ok {
		return k.def
	}
	if k.longest > 0 && (len(it.text) > k.longest || strings.ContainsFunc(it.text, isControl)) {
		n.problem(v.at, "Unusable value", "%s is one line of at most %d characters.", name, k.longest)
		return k.def
	}
	return it.text
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// choice returns an attribute that is one of some words.
func (n *node) choice(name string) string {
	k := kindOf[oneOf](n, name)
	v, ok := n.get(name)
	if !ok {
		return k[0]
	}
	it, ok := n.asText(v, `text in quotes`)
	if !ok || slices.Contains(k, it.text) {
		return cmp.Or(it.text, k[0])
	}
	n.problem(v.at, "Unknown "+name, "%q is no %s.%s", it.text, name, suggest(it.text, k))
	return k[0]
}

// boolean returns an attribute that is true or false.
func (n *node) boolean(name string) bool {
	k := kindOf[boolean](n, name)
	v, ok := n.get(name)
	if !ok {
		return bool(k)
	}
	if v.val.Type() != cty.Bool {
		n.wrong(v, "true or false, without quotes")
		return bool(k)
	}
	return v.val.True()
}

// number returns an attribute that is a whole number.
func (n *node) number(name string) int64 {
	k := kindOf[number](n, name)
	v, ok := n.get(name)
	if !ok {
		return k.def
	}
	if v.val.Type() != cty.Number {
		n.wrong(v, "a number, without quotes")
		return k.def
	}
	i, accuracy := v.val.AsBigFloat().Int64()
	if accuracy != big.Exact || i < k.low || i > k.high {
		n.problem(v.at, "Number out of range", "%s is a whole number from %d to %d.", name, k.low, k.high)
		return k.def
	}
	return i
}

// fraction returns an attribute that is a number.
func (n *node) fraction(name string) float64 {
	k := kindOf[fraction](n, name)
	v, ok := n.get(name)
	if !ok {
		return k.def
	}
	if v.val.Type() != cty.Number {
		n.wrong(v, "a number, without quotes")
		return k.def
	}
	f, _ := v.val.AsBigFloat().Float64()
	if f < k.low || f > k.high {
		n.problem(v.at, "Number out of range", "%s is a number from %v to %v.", name, k.low, k.high)
		return k.def
	}
	return f
}

// duration returns an attribute that is a time with a unit.
func (n *node) duration(name string) time.Duration {
	k := kindOf[span](n, name)
	v, ok := n.get(name)
	if !ok {
		return k.def
	}
	const form = `a time with its unit, such as "30s", "8h" or "1d"`
	it, ok := n.asText(v, form)
	if !ok {
		return k.def
	}
	d, err := parseDuration(it.text)
	if err != nil {
		n.wrong(v, form)
		return k.def
	}
	if d == 0 && k.zero != "" || k.low <= d && d <= k.high {
		return d
	}
	orZero := ""
	if k.zero != "" {
		orZero = `, or "0s": ` + k.zero
	}
	n.problem(v.at, "Time out of range", "%s is from %s to %s%s.", name, short(k.low), short(k.high), orZero)
	return k.def
}

// parseDuration reads Go's notation, and days.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		count, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(count) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// short prints 24h0m0s as 24h, and 720h0m0s as 30d.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	if d > day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// elements returns the elements of a list, each with its place. What is not a
// list counts as a list of one.
func (n *node) elements(v *value) []*value {
	if tuple, ok := v.expr.(*hclsyntax.TupleConsExpr); ok {
		var out []*value
		for _, e := range tuple.Exprs {
			out = append(out, n.evaluate(v.name, e))
		}
		return out
	}
	if !v.val.CanIterateElements() || v.val.Type().IsObjectType() || v.val.Type().IsMapType() {
		return []*value{v}
	}
	var out []*value
	for _, e := range v.val.AsValueSlice() {
		out = append(out, &value{name: v.name, at: v.at, expr: v.expr, val: e})
	}
	return out
}

// list returns an attribute that is a word or a list of words.
func (n *node) list(name string) (out []item) {
	k := kindOf[listOf](n, name)
	if _, ok := n.get(name); ok {
		return n.texts(name)
	}
	for _, d := range k {
		out = append(out, item{d, n.at})
	}
	return out
}

// texts returns an attribute that is text or a list of texts. An element that
// occurs twice is told and left out.
func (n *node) texts(name string) []item {
	v, ok := n.get(name)
	if !ok {
		return nil
	}
	return n.textsOf(v)
}

// textsOf returns a value that is text or a list of texts.
func (n *node) textsOf(v *value) []item {
	elements := n.elements(v)
	if len(elements) > maxElements {
		n.problem(v.at, "List too long", "%s has %d elements; at most %d are read.", v.name, len(elements), maxElements)
		return nil
	}
	var out []item
	for _, e := range elements {
		it, ok := n.asText(e, `text, or a list of texts, such as ["a", "b"]`)
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(other item) bool { return other.text == it.text }) {
			n.problem(it.at, "Duplicate value", "%q is in the list already.", it.text)
			continue
		}
		out = append(out, it)
	}
	return out
}

// address reads an address of an attribute.
func (n *node) address(name string, it item) (netip.Addr, bool) {
	a, err := netip.ParseAddr(it.text)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		n.problem(it.at, "Unusable address", "%q is no address; %s is written like %q or %q.", it.text, name,
			"192.0.2.1", "2001:db8::1")
		return netip.Addr{}, false
	}
	return a, true
}

// network reads a network, whose host bits must be zero.
func (n *node) network(name string, it item) (netip.Prefix, bool) {
	p, ok := n.prefix(name, it)
	if !ok {
		return p, false
	}
	if p != p.Masked() {
		n.problem(it.at, "Not a network", "%s has bits set behind its length; the network is %s.", p, p.Masked())
		return netip.Prefix{}, false
	}
	return p, true
}

// prefix reads an address with the length of its subnet.
func (n *node) prefix(name string, it item) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(it.text)
	if err != nil || p.Addr().Is4In6() {
		n.problem(it.at, "Unusable address",
			"%q has not the form that %s needs: an address and a length, like %q or %q.", it.text, name, "192.0.2.0/24",
			"2001:db8::/64")
		return netip.Prefix{}, false
	}
	return p, true
}

// addresses returns an attribute that is a list of addresses.
func (n *node) addresses(name string) []netip.Addr {
	var out []netip.Addr
	for _, it := range n.texts(name) {
		if a, ok := n.address(name, it); ok {
			out = append(out, a)
		}
	}
	return out
}

// networks returns an attribute that is a list of networks.
func (n *node) networks(name string) []netip.Prefix {
	var out []netip.Prefix
	for _, it := range n.texts(name) {
		if p, ok := n.network(name, it); ok {
			out = append(out, p)
		}
	}
	return out
}

// selectors returns an attribute that is a list of networks, each of which becomes
// a selector of one SA. Neighbours may be written as one network.
func (n *node) selectors(name string) []netip.Prefix {
	out := n.networks(name)
	if len(out) > maxSelectors {
		n.problem(n.where(name), "Too many networks",
			"%s has %d networks, and an SA carries %d of each side: the others could not be reached. Combine "+
				"neighbours, as 10.1.0.0/24 and 10.1.1.0/24 are 10.1.0.0/23, or leave some out.", name, len(out),
			maxSelectors)
	}
	return out
}

// cutRange splits "a-b".
func cutRange(it item) (start, end item, ok bool) {
	from, to, ok := strings.Cut(it.text, "-")
	return item{strings.TrimSpace(from), it.at}, item{strings.TrimSpace(to), it.at}, ok
}

// lastOf returns the highest address of a network.
func lastOf(p netip.Prefix) netip.Addr { return sa.SelectorOf(p).End }

// trimPackage returns the text of an error without the package in front.
func trimPackage(err error) string {
	_, text, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return err.Error()
	}
	return text
}

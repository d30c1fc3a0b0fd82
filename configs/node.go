package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// schema describes one kind of block: the tables are in schema.go.
type schema struct {
	kind   string // the block's keyword; "" for a file
	label  string // what its label says; "" where it has none
	single bool   // at most one in its parent
	open   bool   // any attribute; whoever decodes it checks the names
	attrs  []attr
	blocks []*schema
}

// attr describes one attribute. Where it is required, example completes "write
// NAME = ...".
type attr struct {
	name     string
	is       kind
	required bool
	example  string
}

// node is a block (or the file around the blocks) that fits its schema.
type node struct {
	*reader
	schema *schema
	label  item
	at     hcl.Range // of keyword and label
	values map[string]*value
	meant  []string           // attributes that there are not, but for other names
	blocks map[string][]*node // by kind, in the order of the file
}

// item is a piece of text and its place.
type item struct {
	text string
	at   hcl.Range
}

// value is an attribute, or an element of one, evaluated. A broken one was
// told already.
type value struct {
	name   string
	at     hcl.Range
	expr   hclsyntax.Expression
	val    cty.Value
	broken bool
}

// decode holds a block against its schema, and tells what does not fit.
func (r *reader) decode(body *hclsyntax.Body, s *schema, b *hclsyntax.Block) *node {
	n := &node{reader: r, schema: s, values: map[string]*value{}, blocks: map[string][]*node{}, at: b.DefRange()}
	if len(b.Labels) == 1 {
		n.label = item{b.Labels[0], b.LabelRanges[0]}
	}
	for _, name := range attributeOrder(body) {
		a := body.Attributes[name]
		if !s.open && !slices.ContainsFunc(s.attrs, func(x attr) bool { return x.name == name }) {
			n.meant = append(n.meant, r.unknownAttribute(s, a))
			continue
		}
		n.values[name] = r.evaluate(name, a.Expr)
	}
	for _, a := range s.attrs {
		if a.required && !n.written(a.name) && !n.means(a.name) {
			r.problem(n.at, "Missing "+a.name, "%s needs %s; write, for example, %s = %s", n, a.name, a.name, a.example)
		}
	}
	n.decodeBlocks(body)
	return n
}

// means reports whether an attribute of n that there is not is likely meant to be name.
func (n *node) means(name string) bool { return slices.Contains(n.meant, name) }

// attributeOrder returns the names of a body's attributes in the order of the
// file: the report must not depend on a map.
func attributeOrder(body *hclsyntax.Body) []string {
	names := make([]string, 0, len(body.Attributes))
	for name := range body.Attributes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return body.Attributes[a].SrcRange.Start.Byte - body.Attributes[b].SrcRange.Start.Byte
	})
	return names
}

// unknownAttribute tells of an attribute that the schema has not, and returns which
// one was meant; "" where none is near.
func (r *reader) unknownAttribute(s *schema, a *hclsyntax.Attribute) (meant string) {
	if slices.ContainsFunc(s.blocks, func(b *schema) bool { return b.kind == a.Name }) {
		r.problem(a.NameRange, "Unexpected attribute",
			"%s is a block: write it without the equals sign, as %s { ... }.", a.Name, a.Name)
		return ""
	}
	var names []string
	for _, x := range s.attrs {
		names = append(names, x.name)
	}
	r.problem(a.NameRange, "Unknown attribute", "%s has no attribute %q.%s", s, a.Name, suggest(a.Name, names))
	return nearest(a.Name, names)
}

func (n *node) decodeBlocks(body *hclsyntax.Body) {
	first := map[string]*node{}
	for _, b := range body.Blocks {
		if n.dropped { // more is not shown
			return
		}
		i := slices.IndexFunc(n.schema.blocks, func(s *schema) bool { return s.kind == b.Type })
		if n.schema.open || i < 0 {
			n.unknownBlock(b)
			continue
		}
		s := n.schema.blocks[i]
		if !n.labelled(s, b) {
			continue
		}
		child := n.decode(b.Body, s, b)
		key := b.Type + " " + child.label.text
		if s.single {
			key = b.Type
		}
		if other := first[key]; other != nil {
			n.problem(child.at, "Duplicate "+s.kind, "%s is already at %s. Keep one of the two.", child,
				place(other.at))
			continue
		}
		first[key] = child
		n.blocks[s.kind] = append(n.blocks[s.kind], child)
	}
}

func (n *node) unknownBlock(b *hclsyntax.Block) {
	if slices.ContainsFunc(n.schema.attrs, func(x attr) bool { return x.name == b.Type }) {
		n.problem(b.TypeRange, "Unexpected block", "%s is an attribute: write %s = ...", b.Type, b.Type)
		return
	}
	var names []string
	for _, s := range n.schema.blocks {
		names = append(names, s.kind)
	}
	n.problem(b.TypeRange, "Unknown block", "%s has no block %q.%s", n.schema, b.Type, suggest(b.Type, names))
}

// labelled tells of a missing, superfluous or unusable label.
func (n *node) labelled(s *schema, b *hclsyntax.Block) bool {
	switch {
	case s.label == "" && len(b.Labels) > 0:
		n.problem(b.LabelRanges[0], "Unexpected label", "The block %s has no label; write %s { ... }.", s.kind, s.kind)
	case s.label != "" && len(b.Labels) == 0:
		n.problem(b.TypeRange, "Missing label", "The block %s is labelled with %s; write %s \"...\" { ... }.", s.kind,
			s.label, s.kind)
	case len(b.Labels) > 1:
		n.problem(b.LabelRanges[1], "Unexpected label", "The block %s has one label: %s.", s.kind, s.label)
	case s.label != "" && b.Labels[0] == "":
		n.problem(b.LabelRanges[0], "Empty label", "The label of the block %s is %s.", s.kind, s.label)
	default:
		return true
	}
	return false
}

// String names the block in messages: `interface "outside"`.
func (n *node) String() string {
	if n.schema.label == "" {
		return n.schema.String()
	}
	return fmt.Sprintf("%s %q", n.schema.kind, n.label.text)
}

func (s *schema) String() string {
	if s.kind == "" {
		return "The file"
	}
	return s.kind
}

// each returns the blocks of one kind in the order of the file.
func (n *node) each(kind string) []*node { return n.blocks[kind] }

// one returns the single block of a kind; where it is missing, an empty one in
// the same place, so that its defaults apply.
func (n *node) one(kind string) *node {
	if found := n.each(kind); len(found) > 0 {
		return found[0]
	}
	return n.empty(kind)
}

// empty returns a block of a kind in which nothing is written.
func (n *node) empty(kind string) *node {
	for _, s := range n.schema.blocks {
		if s.kind == kind {
			return &node{reader: n.reader, schema: s, at: n.at}
		}
	}
	panic("configs: internal error: no block " + kind)
}

// written reports whether the attribute is in the file and not null.
func (n *node) written(name string) bool {
	v := n.values[name]
	return v != nil && (v.broken || !v.val.IsNull())
}

// get returns the attribute if it can be used: written, and not broken.
func (n *node) get(name string) (*value, bool) {
	v := n.values[name]
	if v == nil || v.broken || v.val.IsNull() {
		return nil, false
	}
	return v, true
}

// where returns the place of the attribute, or of the block without it.
func (n *node) where(name string) hcl.Range {
	if v := n.values[name]; v != nil {
		return v.at
	}
	return n.at
}

// evaluate computes an expression. There are no variables and no functions:
// hcl's own messages say so.
func (r *reader) evaluate(name string, expr hclsyntax.Expression) *value {
	v := &value{name: name, at: expr.Range(), expr: expr}
	var diags hcl.Diagnostics
	v.val, diags = expr.Value(nil)
	r.tell(diags...)
	v.broken = diags.HasErrors() || !v.val.IsWhollyKnown()
	return v
}

// maxCandidates bounds among how many names a suggestion is sought, and
// maxListed how many are listed.
const (
	maxCandidates = 256
	maxListed     = 20
)

// suggest returns " Did you mean X?" where one of the names is near, else the
// list of what is possible.
func suggest(name string, names []string) string {
	names = slices.Sorted(slices.Values(names))
	near := nearest(name, names)
	switch {
	case near != "":
		return fmt.Sprintf(" Did you mean %q?", near)
	case len(names) > maxListed:
		return " Possible here: " + strings.Join(names[:maxListed], ", ") +
			fmt.Sprintf(" and %d more.", len(names)-maxListed)
	case len(names) > 0:
		return " Possible here: " + strings.Join(names, ", ") + "."
	}
	return ""
}

// nearest returns which of the names is near, "" where none is.
func nearest(name string, names []string) string {
	names = slices.Sorted(slices.Values(names))
	best, found := min(1+len(name)/3, len(name)-1, 5), ""
	for _, candidate := range names[:min(len(names), maxCandidates)] {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d <= best && (found == "" || d < best) {
			best, found = d, candidate
		}
	}
	return found
}

// distance is the number of insertions, deletions and replacements that turn a
// into b. Names longer than any of ours are far from everything.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

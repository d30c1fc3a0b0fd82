package configs

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Change is one difference between two versions of a configuration file: an
// attribute, or a whole block.
type Change struct {
	// Blocks lead to it from outside: `tunnel_group "staff"`, `ikev2`.
	Blocks []string
	// Attribute is its name; "" where the block itself came or went.
	Attribute string
	// Old and New are the values as the language writes them, secrets as stars;
	// "" where there is none. Two equal ones are different secrets.
	Old, New string
	// Added and Removed say that the old or the new version does not have it.
	Added, Removed bool
}

// Compare returns what differs between two versions of a file, in the order of
// the new one; what has gone stands at the end. Comments, spaces, the order of
// blocks and the spelling of numbers make no difference. A version of which what
// differs does not parse, or is empty, has nothing in it.
func Compare(before, after []byte) []Change {
	if bytes.Equal(before, after) {
		return nil
	}
	before, after = differing(before, after)
	return changes(flatten(before), flatten(after))
}

// changes returns what differs between all that is in two versions.
func changes(was, is *entries) []Change {
	var out []Change
	for _, e := range is.list {
		c := Change{Blocks: e.blocks, Attribute: e.name}
		old, ok := was.byKey[e.key()]
		switch {
		case !ok && was.has(e.parent()):
			c.Added = true
		case !ok || old.equal(e): // its block is new as a whole, or it has not changed
			continue
		default:
			c.Old = old.shown()
		}
		if e.name != "" {
			c.New = e.shown()
		}
		out = append(out, c)
	}
	for _, e := range was.list {
		if _, ok := is.byKey[e.key()]; !ok && is.has(e.parent()) {
			c := Change{Blocks: e.blocks, Attribute: e.name, Removed: true}
			if e.name != "" {
				c.Old = e.shown()
			}
			out = append(out, c)
		}
	}
	return out
}

// entry is an attribute or a block of a file.
type entry struct {
	blocks []string
	name   string // of an attribute; "" for a block
	raw    string // the value as it is written
	expr   hclsyntax.Expression
}

// equal tells whether two entries have the same value, however it is written.
func (e entry) equal(o entry) bool {
	return e.raw == o.raw || e.canonical() == o.canonical()
}

// canonical is the value as the language writes it.
func (e entry) canonical() string {
	if e.expr == nil {
		return ""
	}
	v, diags := e.expr.Value(nil)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return e.raw
	}
	return string(hclwrite.TokensForValue(v).Bytes())
}

// shown is the value without secrets.
func (e entry) shown() string {
	text := Redact([]byte(e.name+" = "+e.canonical()+"\n"), "")
	_, value, _ := bytes.Cut(bytes.TrimSpace(text), []byte(" = "))
	return strings.Join(strings.Fields(string(value)), " ")
}

func (e entry) key() string { return strings.Join(e.blocks, "\x00") + "\x01" + e.name }

// parent is the key of the block around it; "" for the file.
func (e entry) parent() string {
	at := e.blocks
	if e.name == "" {
		at = at[:len(at)-1]
	}
	if len(at) == 0 {
		return ""
	}
	return entry{blocks: at}.key()
}

// entries are all attributes and blocks of a file.
type entries struct {
	list  []entry
	byKey map[string]entry
}

func (x *entries) has(key string) bool {
	_, ok := x.byKey[key]
	return ok || key == ""
}

func (x *entries) add(e entry) {
	if _, twice := x.byKey[e.key()]; twice {
		return
	}
	x.list = append(x.list, e)
	x.byKey[e.key()] = e
}

func flatten(src []byte) *entries {
	r := newReader(nil, Machine{})
	if !r.isText(src, Location{}) || !r.bounded(src, "") {
		return entriesOf(nil, src)
	}
	f, diags := hclsyntax.ParseConfig(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		return entriesOf(nil, src)
	}
	body, _ := f.Body.(*hclsyntax.Body)
	return entriesOf(body, src)
}

// entriesOf are those of a body that src was parsed into; nil: there are none.
func entriesOf(body *hclsyntax.Body, src []byte) *entries {
	x := &entries{byKey: map[string]entry{}}
	if body != nil {
		x.walk(body, nil, src)
	}
	return x
}

// walk adds a body; bounded has made sure that it is not deep.
func (x *entries) walk(b *hclsyntax.Body, at []string, src []byte) {
	for _, name := range attributeOrder(b) {
		expr := b.Attributes[name].Expr
		x.add(entry{at, name, string(expr.Range().SliceBytes(src)), expr})
	}
	for _, block := range b.Blocks {
		name := block.Type
		for _, l := range block.Labels {
			name += fmt.Sprintf(" %q", l)
		}
		inner := append(at[:len(at):len(at)], name)
		x.add(entry{blocks: inner})
		x.walk(block.Body, inner, src)
	}
}

package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/texts"
)

// Explained is a step, and what of the configuration is behind it.
type Explained struct {
	Step
	Changes []Change // none where the context is new, or goes
}

// Change is one attribute or block that differs. Secrets are stars: two equal values
// are different secrets.
type Change struct {
	File string
	// Block leads to it: `context "blue"`, `tunnel_group "staff" ikev2`; "" at
	// the top of the file.
	Block     string
	Attribute string // "": the block as a whole
	Change    string // "added", "changed", "removed"
	Old       string
	New       string
}

// Explain says of every step which attributes and blocks are behind it.
func Explain(steps []Step, before, after *texts.Set) []Explained {
	x := explainer{before: before, after: after}
	at := configs.Location{Scheme: configs.SchemeFile, Path: after.Path}
	x.file = at.String()
	x.system = configs.Compare(before.Body(at), after.Body(at))
	var out []Explained
	for _, st := range steps {
		one := Explained{Step: st}
		if st.Old != nil && st.Want != nil {
			one.Changes = x.changes(st)
		}
		out = append(out, one)
	}
	return out
}

// explainer compares two versions.
type explainer struct {
	before, after *texts.Set
	file          string           // the system file
	system        []configs.Change // of it
}

func (x *explainer) changes(st Step) []Change {
	var out []Change
	for _, c := range x.system {
		if concerns(c, st) {
			out = append(out, describe(x.file, c))
		}
	}
	for _, c := range configs.Compare(x.before.Body(st.Old.Config), x.after.Body(st.Want.Config)) {
		out = append(out, describe(st.Want.Config.String(), c))
	}
	for _, one := range x.after.List {
		if one.Config || !slices.Contains(one.Contexts, st.Context) {
			continue
		}
		if old, ok := x.before.Find(one.At); ok && !bytes.Equal(old.Body, one.Body) {
			out = append(out, Change{File: one.Name(), Change: "changed"})
		}
	}
	return out
}

// concerns tells whether a change of the system file is one of a context.
func concerns(c configs.Change, st Step) bool {
	if len(c.Blocks) == 0 {
		return false
	}
	is := func(kind, name string) bool { return c.Blocks[0] == fmt.Sprintf("%s %q", kind, name) }
	for _, w := range []*Wanted{st.Old, st.Want} {
		if is("context", w.Name) || is("class", w.Class) {
			return true
		}
		for _, a := range w.Allocations {
			if is("interface", a.Interface) {
				return true
			}
		}
	}
	return is("class", "default") || len(c.Blocks) > 1 && c.Blocks[0] == "system" && c.Blocks[1] == "limits"
}

func describe(file string, c configs.Change) Change {
	out := Change{File: file, Block: strings.Join(c.Blocks, " "), Attribute: c.Attribute, Change: "changed", Old: c.Old,
		New: c.New}
	switch {
	case c.Added:
		out.Change = "added"
	case c.Removed:
		out.Change = "removed"
	}
	return out
}

package system

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
)

// explain says of every step which attributes and blocks are behind it.
func explain(steps []step, before, after *texts) []api.Step {
	x := explainer{before: before, after: after}
	at := configs.Location{Scheme: configs.SchemeFile, Path: after.Path}
	x.file = at.String()
	x.system = configs.Compare(before.body(at), after.body(at))
	var out []api.Step
	for _, st := range steps {
		one := api.Step{Context: st.name, Action: st.action, SAs: st.sas, Why: st.why}
		if st.old != nil && st.want != nil {
			one.Changes = x.changes(st)
		}
		out = append(out, one)
	}
	return out
}

// body returns the text of a file; nothing where there is none.
func (t *texts) body(at configs.Location) []byte {
	one, _ := t.find(at)
	return one.Body
}

// explainer compares two versions.
type explainer struct {
	before, after *texts
	file          string           // the system file
	system        []configs.Change // of it
}

func (x *explainer) changes(st step) []api.ConfigChange {
	var out []api.ConfigChange
	for _, c := range x.system {
		if concerns(c, st) {
			out = append(out, describe(x.file, c))
		}
	}
	for _, c := range configs.Compare(x.before.body(st.old.Config), x.after.body(st.want.Config)) {
		out = append(out, describe(st.want.Config.String(), c))
	}
	for _, one := range x.after.List {
		if one.Config || !slices.Contains(one.Contexts, st.name) {
			continue
		}
		if old, ok := x.before.find(one.At); ok && !bytes.Equal(old.Body, one.Body) {
			out = append(out, api.ConfigChange{File: one.name(), Change: "changed"})
		}
	}
	return out
}

// name is how an operator calls a source.
func (t text) name() string {
	if t.At.Scheme == schemeEnv {
		return "environment variable " + t.At.Path
	}
	return t.At.String()
}

// concerns tells whether a change of the system file is one of a context.
func concerns(c configs.Change, st step) bool {
	if len(c.Blocks) == 0 {
		return false
	}
	is := func(kind, name string) bool { return c.Blocks[0] == fmt.Sprintf("%s %q", kind, name) }
	for _, w := range []*wanted{st.old, st.want} {
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

func describe(file string, c configs.Change) api.ConfigChange {
	out := api.ConfigChange{File: file, Block: strings.Join(c.Blocks, " "), Attribute: c.Attribute, Change: "changed", Old: c.Old, New: c.New}
	switch {
	case c.Added:
		out.Change = "added"
	case c.Removed:
		out.Change = "removed"
	}
	return out
}

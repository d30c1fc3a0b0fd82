package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// showContext is `warren show context`.
var showContext = query[api.Contexts]{
	use:     "context [NAME]",
	short:   "Show contexts: class, interfaces, state, role, worker",
	example: "  warren show context\n  warren show context --detail blue",
	context: "only this `context`, as NAME",
	named:   true,
	detail:  "one paragraph for each context",
	ask:     (*client.Client).Contexts,
	text: func(e *env, w io.Writer, a *api.Contexts) {
		if e.detail {
			e.contextsInDetail(w, a.Contexts)
			return
		}
		contextTable.write(e, w, a.Contexts)
		fmt.Fprintf(w, "\nTotal contexts: %d\n", len(a.Contexts))
	},
}

var contextTable = table[api.Tenant]{
	columns: []column[api.Tenant]{
		{"Context Name", func(_ *env, c *api.Tenant) string { return c.Name }},
		{"Class", func(_ *env, c *api.Tenant) string { return c.Class }},
		{"Interfaces", func(_ *env, c *api.Tenant) string {
			var names []string
			for _, i := range c.Interfaces {
				names = append(names, i.Name)
			}
			return strings.Join(names, ",")
		}},
		{"State", func(_ *env, c *api.Tenant) string { return string(c.State) }},
		{"Role", func(_ *env, c *api.Tenant) string { return c.Role }},
		{"PID", func(_ *env, c *api.Tenant) string { return pid(c.PID) }},
		{"Restarts", func(_ *env, c *api.Tenant) string { return fmt.Sprint(c.Restarts) }},
		{"URL", func(_ *env, c *api.Tenant) string { return c.ConfigURL }},
	},
	notes: func(_ *env, c *api.Tenant, note func(string, ...any)) {
		if c.State != api.StateReady && c.Reason != "" {
			note("%s", c.Reason)
		}
		for _, p := range c.Problems {
			note("%s", p.Error)
		}
	},
}

// interfaceTable is of the interfaces of one context.
var interfaceTable = table[api.Interface]{columns: []column[api.Interface]{
	{"Mapped", func(_ *env, i *api.Interface) string { return i.Name }},
	{"Real", func(_ *env, i *api.Interface) string { return i.Allocated }},
	{"Device", func(_ *env, i *api.Interface) string { return i.Device }},
	{"Shared", func(_ *env, i *api.Interface) string { return yesNo(i.Shared) }},
	{"MAC", func(_ *env, i *api.Interface) string { return i.MAC }},
	{"MTU", func(_ *env, i *api.Interface) string {
		if i.MTU == 0 {
			return ""
		}
		return fmt.Sprint(i.MTU)
	}},
	{"Addresses", func(_ *env, i *api.Interface) string {
		var at []string
		for _, a := range i.Addresses {
			at = append(at, a.String())
		}
		return strings.Join(at, ", ")
	}},
}}

func (e *env) contextsInDetail(w io.Writer, list []api.Tenant) {
	for n, c := range list {
		if n > 0 {
			fmt.Fprintln(w)
		}
		verb := "is"
		if c.State == api.StateFailed {
			verb = "has"
		}
		fmt.Fprintf(w, "Context %q %s %s\n", c.Name, verb, c.State)
		if c.Reason != "" {
			fmt.Fprintf(w, "  Reason:     %s\n", plain(c.Reason))
		}
		for _, p := range c.Problems {
			fmt.Fprintf(w, "  Problem:    %s\n", plain(p.Error))
		}
		fmt.Fprintf(w, "  Config URL: %s\n", plain(c.ConfigURL))
		fmt.Fprintf(w, "  Class:      %s\n", plain(c.Class))
		fmt.Fprintf(w, "  Role:       %s\n", plain(c.Role))
		fmt.Fprintf(w, "  Namespace:  %s\n", plain(cmp.Or(c.Namespace, "-")))
		fmt.Fprintf(w, "  Worker:     pid %s, %s, up %s\n", pid(c.PID), count(c.Restarts, "restart", "restarts"),
			e.since(c.Started))
		if c.Build != "" {
			fmt.Fprintf(w, "  Build:      %s\n", plain(c.Build))
		}
		if c.Sandbox != "" {
			fmt.Fprintf(w, "  Sandbox:    %s\n", plain(c.Sandbox))
		}
		fmt.Fprintf(w, "  Interfaces: %d\n", len(c.Interfaces))
		if len(c.Interfaces) > 0 {
			interfaceTable.write(e, indented{w}, c.Interfaces)
		}
	}
}

// pid prints a process, "-" for none.
func pid(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

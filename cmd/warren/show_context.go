package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newShowContext is `warren show context`.
func newShowContext(e *env) *cobra.Command {
	var detail bool
	var name string
	c := &cobra.Command{
		Use:               "context [NAME]",
		Short:             "Show contexts: class, interfaces, state, role, worker",
		Example:           "  warren show context\n  warren show context --detail blue",
		Args:              atMostOne,
		ValidArgsFunction: e.completeContexts,
		RunE: does(func(ctx context.Context, args []string) error {
			if len(args) > 0 && name != "" {
				return fmt.Errorf("%q and --context %q: give one of them", args[0], name)
			}
			list, err := e.client().Contexts(ctx, name+strings.Join(args, ""))
			if err != nil {
				return err
			}
			return e.print(list, func(w io.Writer) {
				if detail {
					e.contextsInDetail(w, list.Contexts)
				} else {
					contextsInShort(w, list.Contexts)
				}
			})
		}),
	}
	c.Flags().BoolVar(&detail, "detail", false, "one paragraph for each context")
	e.contextFlag(c, &name, "only this `context`, as NAME")
	return c
}

func contextsInShort(w io.Writer, list []api.Tenant) {
	t := newTable("Context Name", "Class", "Interfaces", "State", "Role", "PID", "Restarts", "URL")
	for _, c := range list {
		var names []string
		for _, i := range c.Interfaces {
			names = append(names, i.Name)
		}
		t.row(c.Name, c.Class, strings.Join(names, ","), string(c.State), c.Role, pid(c.PID),
			fmt.Sprint(c.Restarts), c.ConfigURL)
		if c.State != api.StateReady && c.Reason != "" {
			t.notef("%s", c.Reason)
		}
		for _, p := range c.Problems {
			t.notef("%s", p.Error)
		}
	}
	t.write(w)
	fmt.Fprintf(w, "\nTotal contexts: %d\n", len(list))
}

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
		if c.Sandbox != "" {
			fmt.Fprintf(w, "  Sandbox:    %s\n", plain(c.Sandbox))
		}
		fmt.Fprintf(w, "  Interfaces: %d\n", len(c.Interfaces))
		t := newTable("Mapped", "Real", "Device", "Shared", "MAC", "MTU", "Addresses")
		for _, i := range c.Interfaces {
			var at []string
			for _, a := range i.Addresses {
				at = append(at, a.String())
			}
			mtu := ""
			if i.MTU > 0 {
				mtu = fmt.Sprint(i.MTU)
			}
			t.row(i.Name, i.Allocated, i.Device, yesNo(i.Shared), i.MAC, mtu, strings.Join(at, ", "))
		}
		if len(c.Interfaces) > 0 {
			t.write(indented{w})
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

// indented puts four spaces before every line; each Write is a whole line.
type indented struct{ w io.Writer }

// Write implements io.Writer.
func (i indented) Write(b []byte) (int, error) {
	if _, err := io.WriteString(i.w, "    "); err != nil {
		return 0, err
	}
	return i.w.Write(b)
}

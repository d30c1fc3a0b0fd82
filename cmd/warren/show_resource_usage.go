package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
)

// newShowResourceUsage is `warren show resource usage`.
func newShowResourceUsage(e *env) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:     "usage",
		Short:   "Show current, peak, limit, denied per resource and context",
		Example: "  warren show resource usage\n  warren show resource usage --context red --json",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			list, err := e.client().Resources(ctx, name)
			if err != nil {
				return err
			}
			if err := e.print(list, func(w io.Writer) { resources(w, list.Resources) }); err != nil {
				return err
			}
			return e.silent(list.Errors, len(list.Resources))
		}),
	}
	e.contextFlag(c, &name, "only of this `context`")
	return c
}

func resources(w io.Writer, list []control.Resource) {
	t := newTable("Resource", "Current", "Peak", "Limit", "Denied", "Context")
	for _, r := range list {
		limit := "unlimited"
		if r.Limit != 0 {
			limit = fmt.Sprint(r.Limit)
		}
		t.row(r.Resource, fmt.Sprint(r.Current), fmt.Sprint(r.Peak), limit, fmt.Sprint(r.Denied), r.Context)
	}
	t.write(w)
}

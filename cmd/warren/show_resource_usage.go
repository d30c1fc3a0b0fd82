package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/resource"
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
		limit := amount(r.Limit, r.Unit)
		switch r.Limit {
		case 0:
			limit = "unlimited"
		case -1:
			limit = "none"
		}
		t.row(r.Resource, amount(r.Current, r.Unit), amount(r.Peak, r.Unit), limit, fmt.Sprint(r.Denied), r.Context)
	}
	t.write(w)
}

// amount prints what is counted in a unit so that a person can compare it.
func amount(n int64, u resource.Unit) string {
	switch u {
	case resource.Cores:
		return fmt.Sprintf("%.2f cores", float64(n)/1000)
	case resource.Bytes:
		return scaled(n, 1024, "B", "KiB", "MiB", "GiB", "TiB")
	case resource.Bits:
		return scaled(n, 1000, "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")
	case resource.Rate:
		return fmt.Sprintf("%d/s", n)
	}
	return fmt.Sprint(n)
}

// scaled prints n in the largest unit of which there is at least one, with at
// most one decimal.
func scaled(n int64, step float64, units ...string) string {
	f := float64(n)
	for f >= step && len(units) > 1 {
		f /= step
		units = units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[0]
}

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/resource"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/fault"
)

// showResourceUsage is `warren show resource usage`.
var showResourceUsage = query[api.Resources]{
	use:     "usage",
	short:   "Show current, peak, limit, denied per resource and context",
	example: "  warren show resource usage\n  warren show resource usage --context red --json",
	context: "only of this `context`",
	ask:     (*client.Client).Resources,
	text:    func(e *env, w io.Writer, a *api.Resources) { resourceTable.write(e, w, a.Resources) },
	missing: func(a *api.Resources) ([]fault.ContextError, int) { return a.Errors, len(a.Resources) },
}

var resourceTable = table[control.Resource]{columns: []column[control.Resource]{
	{"Resource", func(_ *env, r *control.Resource) string { return r.Resource }},
	{"Current", func(_ *env, r *control.Resource) string { return amount(r.Current, r.Unit) }},
	{"Peak", func(_ *env, r *control.Resource) string { return amount(r.Peak, r.Unit) }},
	{"Limit", func(_ *env, r *control.Resource) string {
		switch r.Limit {
		case 0:
			return "unlimited"
		case -1:
			return "none"
		}
		return amount(r.Limit, r.Unit)
	}},
	{"Denied", func(_ *env, r *control.Resource) string { return fmt.Sprint(r.Denied) }},
	{"Context", func(_ *env, r *control.Resource) string { return r.Context }},
}}

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

package main

import (
	"io"
	"strconv"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// showHistory is `warren show history`.
var showHistory = query[api.History]{
	use:   "history",
	short: "Show the versions of the running configuration",
	long: "Show the versions of the running configuration, now and in the past: `warren rollback` takes their " +
		"numbers.",
	ask:  unnamed((*client.Client).History),
	text: func(e *env, w io.Writer, h *api.History) { versionTable.write(e, w, h.Versions) },
}

var versionTable = table[api.Version]{
	columns: []column[api.Version]{
		{"VERSION", func(_ *env, v *api.Version) string {
			if v.Running {
				return strconv.Itoa(v.Number) + "*"
			}
			return strconv.Itoa(v.Number)
		}},
		{"TIME", func(_ *env, v *api.Version) string { return moment(v.Time) }},
		{"AUTHOR", func(_ *env, v *api.Version) string { return v.Author }},
		{"ORIGIN", func(_ *env, v *api.Version) string { return v.Origin }},
		{"COMMENT", func(_ *env, v *api.Version) string { return v.Comment }},
	},
	notes: func(_ *env, v *api.Version, note func(string, ...any)) {
		if !v.ConfirmBefore.IsZero() {
			note("it is rolled back at %s, unless `warren confirm` comes before", moment(v.ConfirmBefore))
		}
	},
}

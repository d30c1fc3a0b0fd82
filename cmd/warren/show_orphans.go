package main

import (
	"fmt"
	"io"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// showOrphans is `warren show orphans`.
var showOrphans = query[api.OrphanList]{
	use:   "orphans",
	short: "Show the disks of contexts that were removed",
	long: "Show the disks of contexts that were removed. A later context of the same name begins with an empty\n" +
		"disk; a rollback to a version with the old one brings its disk back. `warren delete --orphans` erases\n" +
		"them for good.",
	ask:  unnamed((*client.Client).Orphans),
	text: func(e *env, w io.Writer, l *api.OrphanList) { orphanTable.write(e, w, l.Orphans) },
}

var orphanTable = table[api.Orphan]{columns: []column[api.Orphan]{
	{"CONTEXT", func(_ *env, o *api.Orphan) string { return o.Context }},
	{"REMOVED", func(_ *env, o *api.Orphan) string { return moment(o.Removed) }},
	{"FILES", func(_ *env, o *api.Orphan) string { return fmt.Sprint(o.Files) }},
	{"BYTES", func(_ *env, o *api.Orphan) string { return fmt.Sprint(o.Bytes) }},
	{"ID", func(_ *env, o *api.Orphan) string { return o.ID }},
}}

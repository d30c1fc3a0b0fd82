package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newDir is `warren dir`.
func newDir(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "dir [NAME]",
		Short: "List files of a context",
		Long: "List a directory of a context, or one file; without a name, all volumes: disk0: of\n" +
			"every context, and shared storage, which contexts can read and the system changes.",
		Example:           "  warren dir\n  warren dir blue:disk0:/certs\n  warren dir images:/",
		Args:              storedNames(0, 1),
		ValidArgsFunction: e.completeFiles(1, false),
		RunE: does(func(ctx context.Context, args []string) error {
			d, err := e.client().Files(ctx, strings.Join(args, ""))
			if err != nil {
				return err
			}
			return e.print(d, func(w io.Writer) { e.directory(w, d) })
		}),
	}
	e.jsonFlag(c)
	return c
}

// fileTable is of what is in one directory.
var fileTable = table[api.FileInfo]{columns: []column[api.FileInfo]{
	{"Modified", func(_ *env, f *api.FileInfo) string { return moment(f.Modified) }},
	{"Size", func(_ *env, f *api.FileInfo) string {
		if f.Dir {
			return "directory"
		}
		return fmt.Sprint(f.Size)
	}},
	{"Name", func(_ *env, f *api.FileInfo) string {
		if f.Dir {
			return f.Name + "/"
		}
		return f.Name
	}},
}}

func (e *env) directory(w io.Writer, d api.Directory) {
	if d.Name == "" {
		for _, f := range d.Files {
			fmt.Fprintln(w, plain(f.Name))
		}
		return
	}
	note := ""
	if d.ReadOnly {
		note = " (read-only)"
	}
	fmt.Fprintf(w, "Directory of %s%s\n\n", plain(d.Name), note)
	if len(d.Files) > 0 {
		fileTable.write(e, w, d.Files)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s in use%s, %s%s\n", count(int(d.UsedBytes), "byte", "bytes"), outOf(d.LimitBytes),
		count(int(d.UsedFiles), "file or directory", "files and directories"), outOf(d.LimitFiles))
	if d.Kept > 0 {
		fmt.Fprintf(w, "Kept beside others, because both units had changed them: %s\n", count(d.Kept, "file", "files"))
	}
	if d.Pending {
		fmt.Fprintln(w, "Not yet on the standby unit: a change of what is here")
	}
}

// outOf prints a limit, if there is one.
func outOf(limit int64) string {
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d", limit)
}

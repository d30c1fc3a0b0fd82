package main

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"
)

// newShowHistory is `warren show history`.
func newShowHistory(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "Show the versions of the running configuration",
		Long: "Show the versions of the running configuration, now and in the past: `warren rollback` takes their " +
			"numbers.",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			h, err := e.client().History(ctx)
			if err != nil {
				return err
			}
			return e.print(h, func(w io.Writer) {
				t := newTable("VERSION", "TIME", "AUTHOR", "ORIGIN", "COMMENT")
				for _, v := range h.Versions {
					number := strconv.Itoa(v.Number)
					if v.Running {
						number += "*"
					}
					t.row(number, moment(v.Time), v.Author, v.Origin, v.Comment)
					if !v.ConfirmBefore.IsZero() {
						t.notef("it is rolled back at %s, unless `warren confirm` comes before",
							moment(v.ConfirmBefore))
					}
				}
				t.write(w)
			})
		}),
	}
}

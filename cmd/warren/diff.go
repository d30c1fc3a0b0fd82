package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// newDiff is `warren diff`.
func newDiff(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "diff",
		Short: "Compare the startup with the running configuration",
		Long: "Compare the startup configuration, which is what the files say, with the running one: what\n" +
			"`warren write memory` would do to the files. Secrets are not shown.",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			d, err := e.client().Diff(ctx)
			if err != nil {
				return err
			}
			if d.Problem != "" && !e.json {
				fmt.Fprintf(e.stderr, "warren: %s\n", plainLines(d.Problem))
			}
			return e.print(d, func(w io.Writer) { fmt.Fprint(w, plainLines(d.Text)) })
		}),
	}
	e.jsonFlag(c)
	return c
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// newFailoverDiff is `warren failover diff`.
func newFailoverDiff(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "diff [CONTEXT]",
		Short: "Compare what runs on the peer with what runs on this unit",
		Long: "Compare what runs on the peer with what runs on this unit: classes, contexts and failover\n" +
			"groups of the system file, and the files of every context, or of one. What is a unit's own\n" +
			"is not compared, and secrets are not shown.",
		Example:           "  warren failover diff\n  warren failover diff acme",
		Args:              atMostOne,
		ValidArgsFunction: e.completeContexts,
		RunE: does(func(ctx context.Context, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			d, err := e.client().DiffPeer(ctx, name)
			if err != nil {
				return err
			}
			return e.print(d, func(w io.Writer) {
				if !d.Differs {
					fmt.Fprintln(w, "nothing differs")
				}
				fmt.Fprint(w, plainLines(d.Text))
			})
		}),
	}
	e.jsonFlag(c)
	return c
}

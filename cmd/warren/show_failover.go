package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// newShowFailover is `warren show failover`. A configuration with a failover
// block is refused by warrend, so a running one has none.
func newShowFailover(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "failover",
		Short: "Show unit, roles, peer, links, replication",
		Args:  noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			if _, err := e.client().Status(ctx); err != nil {
				return err
			}
			return e.print(map[string][]string{"failover": {}}, func(w io.Writer) {
				fmt.Fprintln(w, "failover is not configured")
			})
		}),
	}
}

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// mostDeleted is how many files one command deletes: those of a whole directory.
const mostDeleted = 10_000

// newDelete is `warren delete`.
func newDelete(e *env) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME...",
		Short:             "Delete files or empty directories of a context",
		Example:           "  warren delete blue:disk0:/old.hcl",
		Args:              storedNames(1, mostDeleted),
		ValidArgsFunction: e.completeFiles(mostDeleted, false),
		RunE: does(func(ctx context.Context, args []string) error {
			for _, name := range args {
				if err := e.client().DeleteFile(ctx, name); err != nil {
					return err
				}
				fmt.Fprintf(e.stdout, "%s deleted\n", name)
			}
			return nil
		}),
	}
}

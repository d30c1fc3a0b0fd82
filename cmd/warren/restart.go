package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// newRestart is `warren restart`.
func newRestart(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "restart CONTEXT",
		Short: "Replace the worker of a context; its sessions stay",
		Long: "Replace the worker of a context by a new process of the program that is installed now.\n\n" +
			"IKE SAs, child SAs and sessions stay; a few packets may be lost.",
		Example: "  warren restart blue",
		Args:    cobra.ExactArgs(1),
		RunE: does(func(ctx context.Context, args []string) error {
			done, err := e.client().Restart(ctx, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.stdout, "context %s has a new worker, of build %s (before: %s)\n",
				plain(done.Context), plain(done.Build), plain(done.Before))
			return err
		}),
	}
}

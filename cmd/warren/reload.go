package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// newReload is `warren reload`.
func newReload(e *env) *cobra.Command {
	var allowStale bool
	c := &cobra.Command{
		Use:   "reload [--allow-stale]",
		Short: "Read the configuration again and touch only what changed",
		Long: "Read the configuration again and touch only what changed.\n\n" +
			"A configuration with errors changes nothing: they are printed, and the exit code is 1. So it is\n" +
			"where what a server has cannot be used, unless its last good copy is allowed.",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().Reload(ctx, allowStale)
			if err != nil {
				return err
			}
			e.warn(done.Warnings)
			for _, step := range done.Steps {
				fmt.Fprintf(e.stdout, "%s\n", plain(step))
			}
			if len(done.Steps) == 0 {
				fmt.Fprintln(e.stdout, "nothing has changed")
			}
			e.lament(done.Errors)
			if len(done.Errors) > 0 {
				return errSaid
			}
			return nil
		}),
	}
	staleFlag(c, &allowStale)
	return c
}

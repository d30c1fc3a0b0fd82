package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newReload is `warren reload`.
func newReload(e *env) *cobra.Command {
	var how api.Leniency
	c := &cobra.Command{
		Use:   "reload",
		Short: "Read the configuration again and touch only what changed",
		Long: "Read the configuration again and touch only what changed.\n\n" +
			leniencyText + "\n\n" + pairText,
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().Reload(ctx, how)
			if err != nil {
				return err
			}
			e.warn(done.Warnings)
			for _, step := range done.Steps {
				fmt.Fprintf(e.stdout, "%s\n", plain(step))
			}
			if len(done.Steps)+len(done.Errors) == 0 {
				fmt.Fprintln(e.stdout, "nothing has changed")
			}
			e.lament(done.Errors)
			if len(done.Errors) > 0 {
				return errSaid
			}
			return nil
		}),
	}
	leniencyFlags(c, &how)
	localFlag(c, &how.Local)
	return c
}

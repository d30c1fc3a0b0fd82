package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// newFailoverSync is `warren failover sync-config`.
func newFailoverSync(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "sync-config",
		Short: "Copy the contexts' configuration from this unit to its peer",
		Long: "Copy the configuration of every context that is active here to the peer: its file, and the\n" +
			"files with secrets that this names. The peer checks them and runs what they say: wholly or,\n" +
			"where anything is wrong, not at all. Each unit keeps its own system file.",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().SyncConfig(ctx)
			if err != nil {
				return err
			}
			if !e.json {
				e.warn(done.Warnings)
			}
			return e.print(done, func(w io.Writer) {
				for _, name := range done.Files {
					fmt.Fprintf(w, "written on the peer: %s\n", plain(name))
				}
				for _, name := range done.Fetched {
					fmt.Fprintf(w, "not copied: each unit has the configuration of %s from a server\n", plain(name))
				}
				printSteps(w, done.Steps, "touched on the peer")
				fmt.Fprintf(w, "version %d runs on the peer\n", done.Version)
			})
		}),
	}
	e.jsonFlag(c)
	return c
}

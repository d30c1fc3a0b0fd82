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
		Short: "Give this unit's configuration to its peer, whatever that runs",
		Long: "Give the peer what the units have in common: the classes, contexts and failover groups of the\n" +
			"system file, and the files of all contexts with the secrets that they name. The peer checks them\n" +
			"and runs what they say: wholly or, where anything is wrong, not at all. The rest of the system\n" +
			"file is each unit's own. It ends a difference that --local has made, in favour of this unit,\n" +
			"which has to be active.",
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

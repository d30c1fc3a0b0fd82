package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// newWrite is the group of `warren write memory`.
func newWrite(e *env) *cobra.Command {
	memory := &cobra.Command{
		Use:   "memory",
		Short: "Make the running configuration the startup configuration",
		Long: "Make the running configuration the startup configuration: the files that differ are replaced,\n" +
			"all of them or, on an error, none. It is needed after a rollback.\n\n" +
			"What a server or the environment says cannot be written; it is named, and the exit code is 1.",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().WriteMemory(ctx)
			if err != nil {
				return err
			}
			err = e.print(done, func(w io.Writer) {
				for _, name := range done.Files {
					fmt.Fprintf(w, "%s\n", plain(name))
				}
				fmt.Fprintf(w, "%s written\n", count(len(done.Files), "file", "files"))
			})
			for _, name := range done.Pending {
				fmt.Fprintf(e.stderr, "warning: %s is not yet on the standby unit, and would be lost with this one\n",
					plain(name))
			}
			for _, u := range done.Unwritable {
				fmt.Fprintf(e.stderr, "warren: %s differs and cannot be written\nhint: %s\n", plain(u.Name),
					plain(u.Reason))
			}
			if err == nil && len(done.Unwritable) > 0 {
				return errSaid
			}
			return err
		}),
	}
	e.jsonFlag(memory)
	return group(&cobra.Command{Use: "write", Short: "Write the running configuration"}, memory)
}

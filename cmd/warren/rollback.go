package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newRollback is `warren rollback`.
func newRollback(e *env) *cobra.Command {
	var f confirmation
	c := &cobra.Command{
		Use:   "rollback VERSION [--confirm SPAN] [--comment TEXT]",
		Short: "Make an earlier version the running configuration",
		Long: "Make an earlier version, one of those that `warren show history` lists, the running\n" +
			"configuration: wholly or not at all. The files stay as they are: `warren diff` shows how\n" +
			"they differ, and `warren write memory` makes them say the same.",
		Example: "  warren rollback 7",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("it takes the number of one version")
			}
			if n, err := strconv.Atoi(args[0]); err != nil || n < 1 {
				return fmt.Errorf("%q is no number of a version", args[0])
			}
			return nil
		},
	}
	f.flags(c)
	e.jsonFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		seconds, err := f.seconds(cmd)
		if err != nil {
			return err
		}
		return does(func(ctx context.Context, args []string) error {
			number, err := strconv.Atoi(args[0])
			if err != nil {
				return err
			}
			done, err := e.client().Rollback(ctx, api.Rollback{Version: number, Confirm: seconds, Comment: f.comment})
			if err != nil {
				return err
			}
			return e.applied(done)
		})(cmd, args)
	}
	return c
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newRollback is `warren rollback`.
func newRollback(e *env) *cobra.Command {
	var f confirmation
	var local bool
	c := &cobra.Command{
		Use:   "rollback VERSION [--confirm SPAN] [--comment TEXT]",
		Short: "Make an earlier version the running configuration",
		Long: "Make an earlier version, one of those that `warren show history` lists, the running\n" +
			"configuration: wholly or not at all. The files stay as they are: `warren diff` shows how\n" +
			"they differ, and `warren write memory` makes them say the same.\n\n" + pairText,
		Example:           "  warren rollback 7",
		ValidArgsFunction: e.completeVersions,
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
	localFlag(c, &local)
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
			done, err := e.client().Rollback(ctx, api.Rollback{Version: number, Confirm: seconds, Comment: f.comment,
				Local: local})
			if err != nil {
				return err
			}
			return e.applied(done)
		})(cmd, args)
	}
	return c
}

// completeVersions offers the versions of the history, the newest first.
func (e *env) completeVersions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const how = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	if len(args) > 0 {
		return nil, how
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	h, err := e.client().History(ctx)
	if err != nil {
		return nil, how
	}
	var list []string
	for _, v := range slices.Backward(h.Versions) {
		if !v.Running {
			list = append(list, strconv.Itoa(v.Number)+"\t"+plain(v.Comment))
		}
	}
	return list, how
}

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// newConfirm is `warren confirm`.
func newConfirm(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Keep what `warren apply --confirm` has made",
		Args:  noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			v, err := e.client().Confirm(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.stdout, "version %d stays\n", v.Number)
			return err
		}),
	}
}

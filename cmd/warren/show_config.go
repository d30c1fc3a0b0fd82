package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newShowRunningConfig is `warren show running-config`.
func newShowRunningConfig(e *env) *cobra.Command {
	return e.showConfig("running-config", "Show the configuration that runs",
		func(ctx context.Context, name string) (api.ConfigTexts, error) {
			return e.client().RunningConfig(ctx, name)
		})
}

// newShowStartupConfig is `warren show startup-config`.
func newShowStartupConfig(e *env) *cobra.Command {
	return e.showConfig("startup-config", "Show the configuration that the next start loads",
		func(ctx context.Context, name string) (api.ConfigTexts, error) {
			return e.client().StartupConfig(ctx, name)
		})
}

// showConfig is a command that shows the files of a configuration.
func (e *env) showConfig(use, short string, ask func(context.Context, string) (api.ConfigTexts, error)) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ", file by file. Secrets are stars.",
		Args:  noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			t, err := ask(ctx, name)
			if err != nil {
				return err
			}
			return e.print(t, func(w io.Writer) {
				for i, f := range t.Files {
					if i > 0 {
						fmt.Fprintln(w)
					}
					fmt.Fprintf(w, "// %s\n%s\n", plain(f.Name), strings.TrimRight(plainLines(f.Text), "\n"))
				}
			})
		}),
	}
	e.contextFlag(c, &name, "only the file of this context")
	return c
}

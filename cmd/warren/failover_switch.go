package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// newFailoverSwitch is `warren failover switch`.
func newFailoverSwitch(e *env) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "switch",
		Short: "Make the other unit active",
		Long: "Make the other unit active, for one failover group or for all.\n\n" +
			"It may be run on either unit. Without --group it means every group that is active here\n" +
			"or, where none is, all groups. No SA is lost.",
		Example: "  warren failover switch\n  warren failover switch --group 1",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().Switch(ctx, name)
			if err != nil {
				return err
			}
			for _, g := range done.Groups {
				fmt.Fprintf(e.stdout, "group %s: this unit is %s, the peer is %s, epoch %d\n", plain(g.Name),
					plain(g.Role), plain(g.PeerRole), g.Epoch)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&name, "group", "", "failover `group`; by default all")
	err := c.RegisterFlagCompletionFunc("group", func(cmd *cobra.Command, _ []string, _ string) ([]string,
		cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		st, err := e.client().Failover(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, p := range st.Failover {
			for _, g := range p.Groups {
				names = append(names, plain(g.Name))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic("warren: internal error: " + err.Error())
	}
	return c
}

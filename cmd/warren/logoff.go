package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
)

// newLogoff is `warren logoff`.
func newLogoff(e *env) *cobra.Command {
	var name, address string
	var which control.Logoff
	c := &cobra.Command{
		Use:     "logoff --context NAME {--user USER | --address ADDRESS | --all}",
		Short:   "End sessions with a proper DELETE",
		Example: "  warren logoff --context blue --user alice@example\n  warren logoff --context blue --all",
		Args: func(cmd *cobra.Command, args []string) error {
			if address != "" {
				a, err := netip.ParseAddr(address)
				if err != nil {
					return fmt.Errorf("--address: %q is no IP address", address)
				}
				which.Address = a
			}
			given := 0
			for _, is := range []bool{which.User != "", address != "", which.All} {
				if is {
					given++
				}
			}
			if given != 1 {
				return fmt.Errorf("which sessions? Give one of --user, --address and --all, not %d", given)
			}
			return noArgs(cmd, args)
		},
		RunE: does(func(ctx context.Context, _ []string) error {
			done, err := e.client().Logoff(ctx, name, which)
			if err != nil {
				return err
			}
			if done.Sessions == 0 && !which.All {
				return fmt.Errorf("no such session in context %q: `warren show vpn-sessiondb --context %s` lists them",
					name, name)
			}
			_, err = fmt.Fprintf(e.stdout, "%s of context %s ended\n",
				count(done.Sessions, "session", "sessions"), name)
			return err
		}),
	}
	c.Flags().StringVar(&which.User, "user", "", "end the sessions of this remote `identity`")
	c.Flags().StringVar(&address, "address", "", "end the session with this assigned `address`")
	c.Flags().BoolVar(&which.All, "all", false, "end every session of the context")
	e.contextFlag(c, &name, "the `context`")
	mustRequire(c, "context")
	err := c.RegisterFlagCompletionFunc("user", func(cmd *cobra.Command, _ []string, _ string) ([]string,
		cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		list, err := e.client().Sessions(ctx, name)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var users []string
		for _, s := range list.Sessions {
			users = append(users, plain(s.User))
		}
		return users, cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic("warren: internal error: " + err.Error())
	}
	return c
}

// mustRequire makes a flag required.
func mustRequire(c *cobra.Command, flag string) {
	if err := c.MarkFlagRequired(flag); err != nil {
		panic("warren: internal error: " + err.Error())
	}
}

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newShowPolicy is `warren show policy`.
func newShowPolicy(e *env) *cobra.Command {
	var name string
	var q api.PolicyQuery
	c := &cobra.Command{
		Use:   "policy --context NAME --user USER [--group GROUP] [--interface NAME]",
		Short: "Show what a session of a user gets, and who says so",
		Long: "Show what a session of a user would get by the running configuration: each attribute, and the user,\n" +
			"group policy or tunnel group that it comes from. What an authentication server adds is not known\n" +
			"before it is asked.",
		Example: "  warren show policy --context blue --user alice@example\n" +
			"  warren show policy --context blue --user alice --group staff",
		Args: noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			if q.User == "" {
				return fmt.Errorf("--user is empty: whose session?")
			}
			p, err := e.client().Policy(ctx, name, q)
			if err != nil {
				return err
			}
			return e.print(p, func(w io.Writer) {
				fmt.Fprintf(w, "%s in tunnel group %s, with group policy %s\n\n", plain(p.User), plain(p.TunnelGroup),
					plain(p.GroupPolicy))
				attributeTable.write(e, w, p.Attributes)
			})
		}),
	}
	c.Flags().StringVar(&q.User, "user", "", "the `identity` of the user")
	c.Flags().StringVar(&q.Group, "group", "", "the tunnel `group`; by default the one that the identity gets")
	c.Flags().StringVar(&q.Interface, "interface", "", "the `interface` that the client comes in by")
	e.contextFlag(c, &name, "the `context`")
	mustRequire(c, "context")
	mustRequire(c, "user")
	return c
}

var attributeTable = table[api.Attribute]{columns: []column[api.Attribute]{
	{"ATTRIBUTE", func(_ *env, a *api.Attribute) string { return a.Name }},
	{"VALUE", func(_ *env, a *api.Attribute) string { return a.Value }},
	{"FROM", func(_ *env, a *api.Attribute) string { return a.Source }},
}}

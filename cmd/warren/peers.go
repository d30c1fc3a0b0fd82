package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
)

// newRekey is `warren rekey`.
func newRekey(e *env) *cobra.Command {
	return e.peerCommand(&cobra.Command{
		Use:   "rekey --peer PEER CONTEXT",
		Short: "Replace the keys of a peer's SAs now",
		Long: "Replace the keys of a peer's SAs now: of its IKE SAs, and of their child SAs.\n\n" +
			"Traffic goes on meanwhile. The command does not wait for the peer: `warren show crypto ikev2 sa`\n" +
			"shows the new SPIs.",
		Example: "  warren rekey --peer 198.51.100.2 blue\n  warren rekey --peer alice@blue.example blue",
	}, func(ctx context.Context, name string, which control.Logoff) (string, bool, error) {
		done, err := e.client().Rekey(ctx, name, which)
		return fmt.Sprintf("%s with %s of context %s: rekeying has begun",
				count(done.IKESAs, "IKE SA", "IKE SAs"), count(done.ChildSAs, "child SA", "child SAs"), name),
			done.IKESAs > 0, err
	})
}

// newTerminate is `warren terminate`.
func newTerminate(e *env) *cobra.Command {
	return e.peerCommand(&cobra.Command{
		Use:     "terminate --peer PEER CONTEXT",
		Short:   "End a peer's SAs with a proper DELETE",
		Long:    "End a peer's IKE SAs, with their child SAs, with a proper DELETE. The peer may come back at once.",
		Example: "  warren terminate --peer 198.51.100.2 blue\n  warren terminate --peer alice@blue.example blue",
	}, func(ctx context.Context, name string, which control.Logoff) (string, bool, error) {
		done, err := e.client().Logoff(ctx, name, which)
		return fmt.Sprintf("%s of context %s ended", count(done.Sessions, "IKE SA", "IKE SAs"), name),
			done.Sessions > 0, err
	})
}

// peerCommand makes c do something to the SAs of one peer, which is named by an address
// (its own, or one that it was given) or by its identity. do returns what it has done,
// and whether there was such a peer.
func (e *env) peerCommand(c *cobra.Command,
	do func(ctx context.Context, name string, which control.Logoff) (string, bool, error)) *cobra.Command {
	var peer string
	c.Args = cobra.ExactArgs(1)
	c.RunE = does(func(ctx context.Context, args []string) error {
		var which control.Logoff
		if a, err := netip.ParseAddr(peer); err == nil {
			which.Address = a
		} else {
			which.User = peer
		}
		text, any, err := do(ctx, args[0], which)
		if err != nil {
			return err
		}
		if !any {
			return fmt.Errorf("context %q has no IKE SA with %q: `warren show crypto ikev2 sa --context %s` lists them",
				args[0], peer, args[0])
		}
		_, err = fmt.Fprintln(e.stdout, plain(text))
		return err
	})
	c.Flags().StringVar(&peer, "peer", "", "the peer's `address` or identity")
	mustRequire(c, "peer")
	return c
}

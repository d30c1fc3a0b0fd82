package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// looks are the commands that only look.
var looks = []string{"show", "status", "dir", "verify"}

// newFailoverExec is `warren failover exec`.
func newFailoverExec(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "exec -- COMMAND...",
		Short: "Run a command that only looks on the peer",
		Long: "Run a command that only looks on the peer, through this unit and its failover link: one of\n" +
			strings.Join(looks, ", ") + ".",
		Example: "  warren failover exec -- show context\n  warren failover exec -- show failover --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || !slices.Contains(looks, args[0]) {
				return fmt.Errorf("it takes a command that only looks, after --: one of %s", strings.Join(looks, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			peer := *e
			peer.peer, peer.json = true, false
			socket := e.socket
			root := newRoot(&peer)
			root.SetArgs(args)
			root.SetIn(e.stdin)
			root.SetOut(e.stdout)
			root.SetErr(e.stderr)
			if peer.socket == "" {
				peer.socket = socket
			}
			return root.ExecuteContext(cmd.Context())
		},
	}
}

package main

import "github.com/spf13/cobra"

// newFailover is the group of all that concerns the other node of a pair.
func newFailover(e *env) *cobra.Command {
	return group(&cobra.Command{Use: "failover", Short: "Switch units of a failover pair, reach the peer, make a key"},
		newFailoverSwitch(e), newFailoverExec(e), newFailoverSync(e), newFailoverDiff(e), newFailoverKeygen(e),
	)
}

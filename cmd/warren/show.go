package main

import "github.com/spf13/cobra"

// newShow is the group of all that only looks.
func newShow(e *env) *cobra.Command {
	show := group(&cobra.Command{Use: "show", Short: "Show contexts, SAs, sessions and resources"},
		newShowContext(e),
		group(&cobra.Command{Use: "crypto", Short: "Show IKE and child SAs"},
			group(&cobra.Command{Use: "ikev2", Short: "Show IKEv2"}, newShowIKESA(e)),
			group(&cobra.Command{Use: "ipsec", Short: "Show IPsec"}, newShowChildSA(e), newShowIPsecStats(e)),
		),
		newShowSessions(e),
		group(&cobra.Command{Use: "resource", Short: "Show resources"}, newShowResourceUsage(e)),
		newShowFailover(e),
		newShowRunningConfig(e), newShowStartupConfig(e), newShowHistory(e),
	)
	show.PersistentFlags().BoolVar(&e.json, "json", false, "print JSON for scripts")
	return show
}

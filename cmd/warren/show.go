package main

import "github.com/spf13/cobra"

// newShow is the group of all that only looks.
func newShow(e *env) *cobra.Command {
	show := group(&cobra.Command{Use: "show", Short: "Show contexts, SAs, sessions and resources"},
		showContext.command(e),
		group(&cobra.Command{Use: "crypto", Short: "Show IKE and child SAs, and certificates"},
			group(&cobra.Command{Use: "ca", Short: "Show certificates"}, showCertificates.command(e)),
			group(&cobra.Command{Use: "ikev2", Short: "Show IKEv2"}, showIKESA.command(e)),
			group(&cobra.Command{Use: "ipsec", Short: "Show IPsec"}, showChildSA.command(e),
				showIPsecStats.command(e)),
		),
		showSessions.command(e), newShowPolicy(e), showAAAServer.command(e),
		group(&cobra.Command{Use: "resource", Short: "Show resources"}, showResourceUsage.command(e)),
		showFailover.command(e),
		showRunningConfig.command(e), showStartupConfig.command(e), showHistory.command(e),
		showOrphans.command(e),
	)
	show.PersistentFlags().BoolVar(&e.json, "json", false, "print JSON for scripts")
	return show
}

package configs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/iketest"
	"github.com/warrenvpn/warren/internal/pagetest"
)

// TestClientsAsTheyShip has models of shipping clients connect to a context that says
// nothing of algorithms. What is chosen, or that nothing is, is the table of
// docs/clients.md.
func TestClientsAsTheyShip(t *testing.T) {
	policies, proposals := builtInPolicies(), builtInProposals()
	table := "| client | defaults from | IKE SA | child SA |\n|---|---|---|---|\n"
	for i, c := range iketest.Clients() {
		cfg := iketest.GatewayConfig()
		cfg.Policies, cfg.Entries[0].Proposals = nil, nil
		for _, p := range policies {
			cfg.Policies = append(cfg.Policies,
				exchange.Policy{Name: p.Name, Proposal: p.Proposal, Lifetime: p.Lifetime})
		}
		for _, p := range proposals {
			cfg.Entries[0].Proposals = append(cfg.Entries[0].Proposals,
				exchange.ChildProposal{Name: p.Name, Proposal: p.Proposal, Lifetime: p.Lifetime})
		}
		l := iketest.New(uint64(i+1), iketest.Faults{})
		g := l.Add("gateway", iketest.GatewayAddr, cfg)
		g.Authorise = iketest.Grant
		s := iketest.NewStranger(g, netip.MustParseAddrPort("192.0.2.1:500"))
		ike, child := "none in common", "-"
		_, err := c.Connect(s, identity.MustParse("phone@example"), "key of the client")
		up := g.Established()
		switch {
		case err == nil && len(up) == 1 && len(up[0].Children) == 1:
			in := up[0].Children[0].In
			ike, child = up[0].Suite.String(), sa.Proposal{in.Encryption, in.Integrity}.String()
			if in.Integrity == (sa.Transform{}) {
				child = in.Encryption.String()
			}
		case err == nil || len(up) > 0 || !strings.Contains(err.Error(), "NO_PROPOSAL_CHOSEN"):
			t.Errorf("%s: %d IKE SAs, error %v", c.Name, len(up), err)
		}
		table += fmt.Sprintf("| %s | %s | %s | %s |\n", c.Name, c.Source, ike, child)
	}
	pagetest.Table{Page: "../docs/clients.md", Name: "clients"}.Hold(t, table, *update)
}

package iketest

import (
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// The two sides of a Pair.
var (
	ClientAddr  = netip.MustParseAddr("192.0.2.1")
	GatewayAddr = netip.MustParseAddr("198.51.100.1")
	LeaseAddr   = netip.MustParseAddr("10.99.0.10")
)

// Proposals of the lab: one AEAD suite each.
var (
	IKEProposal = sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256},
		{Type: sa.PRF, ID: sa.PRFHMACSHA256},
		{Type: sa.KeyExchange, ID: sa.KEX25519}, {Type: sa.KeyExchange, ID: sa.KEECP256},
	}
	ESPProposal = sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256},
		{Type: sa.Sequence, ID: sa.SeqExtended}, {Type: sa.Sequence, ID: sa.SeqShort},
	}
)

// GatewayConfig is a remote-access gateway.
func GatewayConfig() exchange.Config {
	return exchange.Config{
		Policies: []exchange.Policy{{Name: "10", Proposal: IKEProposal, Lifetime: 24 * time.Hour}},
		Profiles: []exchange.Profile{{
			Name: "staff", RemoteAccess: true, LocalIdentity: identity.MustParse("gw.example"),
			RemoteIdentities: patterns("*@example"),
			Local:            exchange.PSK{Key: secret.Copy([]byte("key of the gateway"))},
			Remote:           exchange.PSK{Key: secret.Copy([]byte("key of the client"))},
			DPD:              30 * time.Second,
		}},
		Entries: []exchange.Entry{{Name: "any", Dynamic: true, Local: GatewayAddr, Proposals: childProposals()}},
	}
}

// ClientConfig is a client of GatewayConfig that connects by itself.
func ClientConfig() exchange.Config {
	return exchange.Config{
		Policies: []exchange.Policy{{Name: "10", Proposal: IKEProposal, Lifetime: 24 * time.Hour}},
		Profiles: []exchange.Profile{{
			Name: "gateway", LocalIdentity: identity.MustParse("client@example"),
			RemoteIdentities: patterns("gw.example"),
			Local:            exchange.PSK{Key: secret.Copy([]byte("key of the client"))},
			Remote:           exchange.PSK{Key: secret.Copy([]byte("key of the gateway"))},
			DPD:              30 * time.Second,
		}},
		Entries: []exchange.Entry{{
			Name: "home", Local: ClientAddr, Peer: GatewayAddr, Profile: "gateway", Initiate: true,
			RequestAddress: true,
			RemoteTS:       []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("0.0.0.0/0"))},
			Proposals:      childProposals(),
		}},
	}
}

func childProposals() []exchange.ChildProposal {
	return []exchange.ChildProposal{{Name: "strong", Proposal: ESPProposal, Lifetime: 8 * time.Hour}}
}

// Grant answers every question with one address and a split network.
func Grant(q exchange.AskSession) exchange.AnswerSession {
	return exchange.AnswerSession{Question: q.Question, Session: exchange.Session{
		GroupPolicy: "staff",
		Addresses:   []netip.Addr{LeaseAddr},
		DNS:         []netip.Addr{netip.MustParseAddr("10.10.0.53")},
		Split:       []netip.Prefix{netip.MustParsePrefix("10.10.0.0/24")},
	}}
}

// Pair adds a gateway and a client. tune, which may be nil, changes their
// configurations first.
func (l *Lab) Pair(tune func(gateway, client *exchange.Config)) (gateway, client *Node) {
	g, c := GatewayConfig(), ClientConfig()
	if tune != nil {
		tune(&g, &c)
	}
	gateway = l.Add("gateway", GatewayAddr, g)
	gateway.Authorise = Grant
	client = l.Add("client", ClientAddr, c)
	return gateway, client
}

// patterns reads patterns of identities.
func patterns(texts ...string) (out []identity.Pattern) {
	for _, text := range texts {
		out = append(out, identity.MustParsePattern(text))
	}
	return out
}

package ike_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
)

// Two engines in one program: what one sends, the other receives.
func ExampleNew() {
	gateway, client := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.1")
	key := exchange.PSK{Key: secret.Copy([]byte("a long and random key"))}
	policies := []exchange.Policy{{Name: "10", Lifetime: 24 * time.Hour, Proposal: sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256},
		{Type: sa.PRF, ID: sa.PRFHMACSHA256},
		{Type: sa.KeyExchange, ID: sa.KEX25519},
	}}}
	proposals := []exchange.ChildProposal{{Name: "strong", Lifetime: 8 * time.Hour, Proposal: sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256},
		{Type: sa.Sequence, ID: sa.SeqExtended},
	}}}

	engines := map[netip.Addr]*ike.Engine{}
	for addr, cfg := range map[netip.Addr]*exchange.Config{
		gateway: {
			Policies: policies,
			Profiles: []exchange.Profile{{
				Name: "staff", RemoteAccess: true, LocalIdentity: identity.MustParse("gw.example"),
				Local: key, Remote: key,
			}},
			Entries: []exchange.Entry{{Name: "any", Dynamic: true, Local: gateway, Proposals: proposals}},
		},
		client: {
			Policies: policies,
			Profiles: []exchange.Profile{{
				Name: "gateway", LocalIdentity: identity.MustParse("user@example"),
				RemoteIdentities: []identity.Pattern{identity.MustParsePattern("gw.example")}, Local: key, Remote: key,
			}},
			Entries: []exchange.Entry{{
				Name: "home", Local: client, Peer: gateway, Profile: "gateway", RequestAddress: true,
				Proposals: proposals,
			}},
		},
	} {
		e, err := ike.New(cfg)
		if err != nil {
			fmt.Println(err)
			return
		}
		engines[addr] = e
	}

	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var out exchange.Output
	for _, e := range engines {
		e.Activate(now, &out)
	}
	if err := engines[client].Command(now, exchange.Initiate{Entry: "home"}, &out); err != nil {
		fmt.Println(err)
	}
	for len(out.Send)+len(out.Events) > 0 {
		do := out
		out = exchange.Output{}
		// Here do.Changes would be made durable and installed.
		for _, d := range do.Send {
			at := exchange.Datagram{Local: d.Remote, Remote: d.Local, Payload: d.Payload}
			if err := engines[d.Remote.Addr()].Receive(now, at, &out); err != nil {
				fmt.Println(err)
			}
		}
		for _, event := range do.Events {
			switch e := event.(type) {
			case exchange.AskSession:
				fmt.Println("lease for", e.Peer.RemoteID)
				grant := exchange.Session{Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.10")}}
				if err := engines[gateway].Answer(now, exchange.AnswerSession{Question: e.Question, Session: grant},
					&out); err != nil {
					fmt.Println(err)
				}
			case exchange.AddressAssigned:
				fmt.Println("client is", e.Session.Addresses[0])
			case exchange.ChildUp:
				fmt.Println("child SA", e.Child.Local, "===", e.Child.Remote)
			}
		}
	}
	// Output:
	// lease for user@example
	// child SA [0.0.0.0/0] === [10.99.0.10/32]
	// client is 10.99.0.10
	// child SA [10.99.0.10/32] === [0.0.0.0/0]
}

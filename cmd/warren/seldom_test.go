package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/system/api"
)

// seldom is a backend with one context and one half of a pair, which have what is
// seldom to be seen.
type seldom struct{ two }

func (*seldom) Contexts() []api.Tenant {
	return []api.Tenant{{
		Name: "blue", State: api.StateReady, Reason: "its worker was killed: signal 9", Class: "default",
		Role: "standby", PID: 4712, Restarts: 2,
		Started: now.Add(-50 * time.Hour), Sandbox: "seccomp, landlock; missing: cgroup", Build: "v1.0.0",
		ConfigURL: "file:blue.hcl", Namespace: "warren-blue",
	}}
}

func (*seldom) IKESAs(context.Context, string) ([]control.IKESA, error) {
	child := control.ChildSA{SPIIn: "0x1", SPIOut: "0x2", Local: "[2001:db8::1]:4500", Remote: "[2001:db8::7]:4500",
		Encapsulation: "none", Encryption: "aes-256-cbc", Integrity: "sha256-128",
		LocalTS: []string{"10.10.0.0/24", "10.11.0.0/24"}, RemoteTS: []string{"10.99.0.10/32"}}
	return []control.IKESA{
		{State: "connecting", Role: "initiator", Local: "198.51.100.1:500", Remote: "203.0.113.9:500"},
		{State: "established", Role: "responder", Encryption: "aes-256-gcm", PRF: "sha384", KeyExchange: "x25519",
			Assigned: []netip.Addr{netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("2001:db8::a")},
			ChildSAs: []control.ChildSA{child, child}},
	}, nil
}

func (*seldom) Sessions(context.Context, string) ([]control.Session, error) {
	return []control.Session{
		{User: "alice", TunnelGroup: "staff", Public: "198.51.100.77", Protocol: "IKEv2", Duration: 90061,
			LoginTime: now.Add(-90061 * time.Second)},
		{User: "Zo\u00eb\u009b", TunnelGroup: "staff", Public: "198.51.100.78", Protocol: "IKEv2", Standby: true},
	}, nil
}

func (*seldom) IPsecStats(context.Context, string) (control.IPsecStats, error) {
	return control.IPsecStats{Counts: stats.Counts{stats.PacketsIn: {N: 1, Bytes: 2}}}, nil
}

func (*seldom) Failover(context.Context) (*api.Pair, error) {
	return &api.Pair{
		Unit: "secondary", Poll: 0.2, Hold: 0.6, Version: "v0.0.0",
		Keys: api.PairKeys{Accepted: []string{"1a2b3c4d", "5e6f7a8b"}},
		Peer: api.Peer{State: "refused", Reason: "another failover key",
			LastHeard: now.Add(-25 * time.Hour), Skew: -7.25},
		Groups: []api.PairGroup{{Name: "1", Role: "active", PeerRole: "unknown", Broken: 1, PeerBroken: 2,
			Contexts: []string{"blue", "red"}}},
		Links: []api.PairLink{{Name: "direct", State: "refused", Reason: "another failover key",
			LastHeartbeat: now.Add(-2 * time.Second)}},
		History: []api.RoleChange{{At: now, Group: "1", Groups: 3, From: "init", To: "active", Epoch: 1,
			Reason: "no peer found"}},
	}, nil
}

// Plan has nothing against it.
func (s *seldom) Plan(ctx context.Context, how api.Leniency) (api.Plan, error) {
	p, err := s.two.Plan(ctx, how)
	p.Problems, p.Warnings = nil, nil
	return p, err
}

package apitest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Pairs is an api.Pairs of fixed answers: a node alone or, if Paired, the primary
// unit of a pair, active for group 1.
type Pairs struct {
	Now    time.Time
	Paired bool
}

var _ api.Pairs = (*Pairs)(nil)

// Failover implements api.Pairs.
func (p *Pairs) Failover(context.Context) (*api.Pair, error) {
	if !p.Paired {
		return nil, nil
	}
	ago := func(d time.Duration) time.Time { return p.Now.Add(-d) }
	return &api.Pair{
		Unit: "primary", Version: "v0.0.0", Poll: 0.05, Hold: 0.15, Keys: api.PairKeys{Used: "1a2b3c4d",
			Accepted: []string{"1a2b3c4d"}, Peer: []string{"1a2b3c4d"}},
		Peer: api.Peer{State: "alive", Version: "v0.0.0", LastHeard: ago(20 * time.Millisecond)},
		Links: []api.PairLink{
			{Name: "direct", Interface: "Ethernet0/9", Device: "a-fo", Address: "192.168.255.1/30",
				Peer:  "192.168.255.2",
				State: "up", LastHeartbeat: ago(20 * time.Millisecond)},
			{Name: "second", Interface: "Ethernet0/8", Device: "a-f2", Address: "192.168.254.1/30",
				Peer: "192.168.254.2", State: "no carrier"},
		},
		Interfaces: []api.PairInterface{{Name: "Ethernet0/0", State: "up", Peer: "up"},
			{Name: "Ethernet0/1", State: "up", Peer: "down"}},
		Groups: p.groups(),
		Contexts: []api.ContextReplication{
			{Context: "acme", Group: "1", Role: "active", State: "ready", Connected: true, Last: 4711, Acked: 4709,
				Pending: 2,
				Backlog: 1800, Lag: 0.0004, LastBulk: ago(time.Hour)},
			{Context: "umbrella", Group: "2", Role: "standby", State: "none", Reason: "link: receiving: EOF", Last: 12,
				Acked: 12, GivenUp: 1, FilesKept: 2, FilesPending: true},
		},
		History: []api.RoleChange{
			{At: ago(2 * time.Hour), Group: "1", From: "init", To: "negotiation", Reason: "started"},
			{At: ago(2*time.Hour - time.Second), Group: "1", From: "negotiation", To: "active", Epoch: 7,
				Reason: "no peer found"},
		},
	}, nil
}

func (p *Pairs) groups() []api.PairGroup {
	return []api.PairGroup{
		{Name: "1", Role: "active", PeerRole: "standby-ready", Epoch: 7, Since: p.Now.Add(-2 * time.Hour),
			Reason:      "no peer found",
			Replication: "ready", Configuration: "same", Prefer: "primary", Contexts: []string{"acme"}},
		{Name: "2", Role: "standby-cold", PeerRole: "active", Epoch: 4, Since: p.Now.Add(-time.Minute),
			Reason:      "replication is lost",
			Replication: "none", Configuration: "different", Prefer: "secondary", Preempt: true,
			Contexts: []string{"umbrella"}},
	}
}

// Switch implements api.Pairs: group 1 can be switched.
func (p *Pairs) Switch(_ context.Context, how api.Switch) (api.Switched, error) {
	switch {
	case !p.Paired:
		return api.Switched{}, &fault.Error{Code: fault.CodeRefused, Reason: "failover is not configured",
			Hint: "a failover block in the system file makes this node one of a pair"}
	case how.Group != "" && how.Group != "1":
		return api.Switched{}, &fault.Error{Code: fault.CodeRefused, Reason: "group " + how.Group +
			" is not switched: failover: standby is not ready to take over",
			Hint: "`warren show failover` shows how far the copy is: try again when it is ready"}
	}
	g := p.groups()[0]
	g.Role, g.PeerRole, g.Epoch, g.Reason = "standby-cold", "active", 8, "the operator switched"
	return api.Switched{Groups: []api.PairGroup{g}}, nil
}

// AskPeer implements api.Pairs: the peer has no context.
func (p *Pairs) AskPeer(r *http.Request) (*http.Response, error) {
	if !p.Paired {
		return nil, &fault.Error{Code: fault.CodeRefused, Reason: "failover is not configured",
			Hint: "a failover block in the system file makes this node one of a pair"}
	}
	status, body := http.StatusOK, `{"contexts": []}`
	if r.URL.Path != "/v1/contexts" {
		status, body = http.StatusForbidden, `{"code": "denied", "error": "GET `+r.URL.Path+
			` needs the role \"admin\"", "hint": "run as root"}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
}

// SyncConfig implements api.Pairs.
func (p *Pairs) SyncConfig(context.Context, api.Author) (api.Synced, error) {
	if !p.Paired {
		return api.Synced{}, &fault.Error{Code: fault.CodeRefused, Reason: "failover is not configured",
			Hint: "a failover block in the system file makes this node one of a pair"}
	}
	return api.Synced{
		Files: []string{"/etc/warren/acme.hcl", "acme:disk0:/client.psk"}, Version: 12, Fetched: []string{"remote"},
		Steps: []api.Step{{Context: "acme", Action: api.ActionConfigure, SAs: api.EffectStay,
			Why: "its configuration has changed",
			Changes: []api.ConfigChange{{File: "/etc/warren/acme.hcl", Block: `ip_pool "p"`, Attribute: "range",
				Change: "changed",
				Old:    `"10.55.1.10-10.55.1.250"`, New: `"10.55.1.10-10.55.1.99"`}}}},
	}, nil
}

// TakeConfig implements api.Pairs.
func (p *Pairs) TakeConfig(_ context.Context, take api.ContextFiles) (api.Synced, error) {
	return api.Synced{Files: []string{take.Files[0].Name}}, nil
}

// TakeChange implements api.Pairs.
func (p *Pairs) TakeChange(_ context.Context, change api.JointChange) (api.Synced, error) {
	return api.Synced{Files: []string{change.Files[0].Name}}, nil
}

// SettleChange implements api.Pairs.
func (p *Pairs) SettleChange(context.Context, api.Settlement) error { return nil }

// Common implements api.Pairs.
func (p *Pairs) Common(context.Context, bool) (api.CommonView, error) {
	return api.CommonView{Digest: "00"}, nil
}

// DiffPeer implements api.Pairs: one pool of acme is larger here.
func (p *Pairs) DiffPeer(_ context.Context, name string) (api.Diff, error) {
	switch {
	case !p.Paired:
		return api.Diff{}, &fault.Error{Code: fault.CodeRefused, Reason: "failover is not configured",
			Hint: "a failover block in the system file makes this node one of a pair"}
	case name != "" && name != "acme":
		return api.Diff{}, nil
	}
	return api.Diff{Differs: true, Text: `--- other unit, context "acme"
+++ this unit, context "acme"
@@ -1 +1 @@
-ip_pool "p" { range = "10.55.1.10-10.55.1.99" }
+ip_pool "p" { range = "10.55.1.10-10.55.1.250" }
`}, nil
}

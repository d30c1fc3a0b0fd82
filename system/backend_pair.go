package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/lifecycle"
	"github.com/warrenvpn/warren/system/pair"
)

// pairs answers the API for the pair, in its words.
type pairs struct {
	pair  *pair.Pair // nil: a node alone
	life  *lifecycle.Lifecycle
	disks *disks.Disks
}

var _ api.Pairs = pairs{}

// noFailover is the answer of a node alone.
func noFailover() *fault.Error {
	return &fault.Error{Code: fault.CodeRefused, Reason: "failover is not configured",
		Hint: "a failover block in the system file makes this node one of a pair"}
}

// Failover implements api.Pairs.
func (p pairs) Failover(ctx context.Context) (*api.Pair, error) {
	if p.pair == nil {
		return nil, nil
	}
	st := p.pair.Status(ctx)
	out := &api.Pair{Unit: st.Unit.String(), Version: st.Version, Poll: st.Poll.Seconds(), Hold: st.Hold.Seconds(),
		Peer: api.Peer(st.Peer), Keys: keysOf(st.Keys), Groups: groupsOf(st.Groups),
		Contexts: []api.ContextReplication{}}
	for _, l := range st.Links {
		out.Links = append(out.Links, api.PairLink{
			Name: l.Name, Interface: l.Interface, Device: l.Device, Address: l.Address.String(), Peer: l.Peer.String(),
			State: l.State, Reason: l.Reason, LastHeartbeat: l.LastHeard,
		})
	}
	for _, i := range st.Interfaces {
		out.Interfaces = append(out.Interfaces, api.PairInterface(i))
	}
	for _, r := range st.Contexts {
		one := replicationOf(r)
		one.FilesKept, one.FilesPending = p.disks.Replication(r.Context)
		out.Contexts = append(out.Contexts, one)
	}
	for _, c := range st.History {
		out.History = append(out.History, api.RoleChange(c))
	}
	return out, nil
}

func keysOf(k pair.Keys) (out api.PairKeys) {
	if k.Used != 0 {
		out.Used = k.Used.String()
	}
	for _, id := range k.Accepted {
		out.Accepted = append(out.Accepted, id.String())
	}
	for _, id := range k.Peer {
		out.Peer = append(out.Peer, id.String())
	}
	return out
}

func groupsOf(list []pair.Group) []api.PairGroup {
	var out []api.PairGroup
	for _, g := range list {
		out = append(out, api.PairGroup{
			Name: g.Name, Role: g.Role, PeerRole: g.PeerRole, Epoch: g.Epoch, Since: g.Since, Reason: g.Reason,
			Replication: g.Replication, Configuration: g.Configuration, Differ: g.Differ,
			Prefer: g.Prefer, Preempt: g.Preempt,
			Contexts: g.Contexts, Broken: g.Broken, PeerBroken: g.PeerBroken,
		})
	}
	return out
}

func replicationOf(r pair.Replication) api.ContextReplication {
	out := api.ContextReplication{
		Context: r.Context, Group: r.Group, Role: "standby", State: r.State.String(), Connected: r.Connected,
		Reason: r.Reason,
		Last:   r.Last, Acked: r.Acked, Pending: r.Pending, Backlog: r.Backlog, Lag: r.Lag, LastBulk: r.LastBulk,
		GivenUp: r.GivenUp,
	}
	if r.Active {
		out.Role = "active"
	}
	return out
}

// Switch implements api.Pairs.
func (p pairs) Switch(ctx context.Context, how api.Switch) (api.Switched, error) {
	if p.pair == nil {
		return api.Switched{}, noFailover()
	}
	done, err := p.pair.Switch(ctx, how.Group)
	return api.Switched{Groups: groupsOf(done)}, err
}

// AskPeer implements api.Pairs.
func (p pairs) AskPeer(r *http.Request) (*http.Response, error) {
	if p.pair == nil {
		return nil, noFailover()
	}
	return p.pair.Ask(r)
}

// SyncConfig implements api.Pairs.
func (p pairs) SyncConfig(ctx context.Context, by api.Author) (api.Synced, error) {
	if p.pair == nil {
		return api.Synced{}, noFailover()
	}
	done, err := p.life.Share(ctx, lifecycle.Author(by))
	if !lifecycle.IsOlder(err) {
		return syncedOf(done), err
	}
	out, err := p.giveFiles(ctx, by)
	out.Warnings = append(out.Warnings, "the program of the peer is older: it has the files of contexts, "+
		"and nothing of the system file")
	return out, err
}

// giveFiles copies the files of contexts to a peer whose program takes nothing else.
func (p pairs) giveFiles(ctx context.Context, by api.Author) (api.Synced, error) {
	files, fetched, err := p.life.GiveFiles(lifecycle.Author(by))
	if err != nil {
		return api.Synced{}, err
	}
	give := api.ContextFiles{Author: files.Author}
	for _, f := range files.Files {
		give.Files = append(give.Files, api.ContextFile(f))
	}
	body, err := json.Marshal(give)
	if err != nil {
		return api.Synced{}, fmt.Errorf("system: encoding the configuration: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api.PeerURL("/v1/failover/contexts"),
		bytes.NewReader(body))
	if err != nil {
		return api.Synced{}, fmt.Errorf("system: asking the peer: %w", err)
	}
	resp, err := p.pair.Ask(r)
	if err != nil {
		return api.Synced{}, err
	}
	defer resp.Body.Close()
	out, err := api.ReadAnswer[api.Synced](resp)
	var refused *fault.Error
	if errors.As(err, &refused) {
		refused.Reason = "the peer refuses: " + refused.Reason
		return out, refused
	}
	out.Fetched = fetched
	if err == nil {
		p.life.Given()
	}
	return out, err
}

// TakeConfig implements api.Pairs.
func (p pairs) TakeConfig(ctx context.Context, take api.ContextFiles) (api.Synced, error) {
	if p.pair == nil {
		return api.Synced{}, noFailover()
	}
	files := lifecycle.PeerFiles{Author: take.Author}
	for _, f := range take.Files {
		files.Files = append(files.Files, lifecycle.PeerFile(f))
	}
	done, err := p.life.TakeFiles(ctx, files)
	return syncedOf(done), err
}

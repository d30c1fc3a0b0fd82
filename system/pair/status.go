package pair

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/build"
)

// replicationTimeout is what a worker gets to say how far its copy is.
const replicationTimeout = 500 * time.Millisecond

// Status is this node's half of the pair.
type Status struct {
	Unit       failover.Unit
	Version    string // of this build
	Poll, Hold time.Duration
	// Peer is the other node; its State is "not looked for yet" before the contexts
	// have started.
	Peer       failover.PeerStatus
	Keys       Keys
	Links      []Link
	Interfaces []failover.InterfaceStatus // that are monitored
	Groups     []Group
	Contexts   []Replication           // that are built, by group
	History    []failover.ChangeStatus // the last changes of roles, oldest first
}

// Keys are the failover keys, by IDs that tell nothing of them.
type Keys struct {
	Used     failover.KeyID   // with the peer, at the moment; 0 before the contexts have started
	Accepted []failover.KeyID // here, the preferred one first
	Peer     []failover.KeyID // there, as far as it is heard
}

// Link is one failover link.
type Link struct {
	failover.LinkStatus
	Interface string // of the system
	Device    string // of the kernel
	Address   netip.Prefix
	Peer      netip.Addr
}

// Group is one failover group, on both nodes.
type Group struct {
	failover.GroupStatus
	Contexts []string
}

// Replication is how far the copy of one context is.
type Replication struct {
	Context, Group string
	control.Replication
}

// Status describes this node's half of the pair. It asks workers, each within bounds, and
// goes on without those that do not answer.
func (p *Pair) Status(ctx context.Context) *Status { return p.reporter.status(ctx) }

// reporter describes the pair for those who ask.
type reporter struct {
	*machine
	cfg     *configs.Failover
	members *members
	links   *links
	keys    *keyring
}

// status is Status.
func (r *reporter) status(ctx context.Context) *Status {
	out := &Status{Unit: r.cfg.Unit, Version: build.Version(), Poll: r.cfg.Poll, Hold: r.cfg.Hold}
	var members []*member
	var last []control.Replication
	r.do(func(now time.Time, _ *failover.Output) {
		r.describe(now, out)
		for _, g := range r.conf.Failover.Groups {
			for _, m := range r.members.byGroup[g.Name] {
				members, last = append(members, m), append(last, m.replication)
			}
		}
	})
	out.Contexts = make([]Replication, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() { out.Contexts[i] = replicationOf(ctx, m, last[i]) })
	}
	asking.Wait()
	return out
}

// describe fills in what the role machine knows.
func (r *reporter) describe(now time.Time, out *Status) {
	for _, l := range r.links.list {
		out.Links = append(out.Links, Link{
			LinkStatus: failover.LinkStatus{Name: l.cfg.Name, State: "silent"}, Interface: l.cfg.Interface,
			Device:  l.on.Device,
			Address: l.cfg.Address, Peer: l.cfg.Peer,
		})
	}
	if r.node == nil {
		out.Peer.State = "not looked for yet"
		for _, g := range r.conf.Failover.Groups {
			out.Groups = append(out.Groups, r.members.row(failover.GroupStatus{Name: g.Name,
				Role: failover.RoleInit.String(), PeerRole: "unknown",
				Reason: "the contexts start", Prefer: g.Prefer.String(), Preempt: g.Preempt}))
		}
		return
	}
	st := r.node.Status(now)
	out.Peer, out.Keys = st.Peer, r.keys.status(r.node)
	for i, l := range st.Links {
		out.Links[i].LinkStatus = l
	}
	out.Interfaces, out.History = st.Interfaces, st.History
	for _, g := range st.Groups {
		out.Groups = append(out.Groups, r.members.row(g))
	}
}

// row describes one group.
func (s *members) row(g failover.GroupStatus) Group { return Group{g, s.contexts[g.Name]} }

// replicationOf asks a worker how far its copy is; where it does not answer,
// what it said last has to do.
func replicationOf(ctx context.Context, m *member, last control.Replication) Replication {
	ctx, cancel := context.WithTimeout(ctx, replicationTimeout)
	defer cancel()
	latest := last
	told, err := m.worker.Replication(ctx)
	switch {
	case err != nil:
		latest.Reason = "its worker does not answer: " + m.worker.Status().Reason
	case told != nil:
		latest = *told
	}
	out := Replication{m.name, m.group, latest}
	if latest.Connected && err == nil {
		out.Reason = ""
	}
	return out
}

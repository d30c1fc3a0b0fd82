package system

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

const (
	// replicationTimeout is what a worker gets to say how far its copy is.
	replicationTimeout = 500 * time.Millisecond
	// switchLimit is how long a switch may take from the wish to the role, beyond
	// the hold time for which a new active does not hand over.
	switchLimit = 5 * time.Second
)

// noFailover is the answer of a node alone.
func noFailover() *fault.Error {
	return &fault.Error{Code: fault.CodeRefused, Reason: "failover is not configured",
		Hint: "a failover block in the system file makes this node one of a pair"}
}

// Failover implements api.Backend.
func (s *System) Failover(ctx context.Context) (*api.Pair, error) {
	p := s.pair
	if p == nil {
		return nil, nil
	}
	out := &api.Pair{Unit: string(p.cfg.Unit), Version: build.Version(), Poll: p.cfg.Poll.Seconds(), Hold: p.cfg.Hold.Seconds()}
	var members []*member
	var last []control.Replication
	p.do(func(now time.Time, _ *failover.Output) {
		p.describe(now, out)
		for _, g := range p.conf.Failover.Groups {
			for _, m := range p.byGroup[g.Name] {
				members, last = append(members, m), append(last, m.replication)
			}
		}
	})
	out.Contexts = make([]api.ContextReplication, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() { out.Contexts[i] = p.replicationOf(ctx, m, last[i]) })
	}
	asking.Wait()
	return out, nil
}

// redundancy says what of the redundancy is gone; nothing: nothing, or there is
// none to have.
func (p *pair) redundancy() []string {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.gone)
}

// gaps looks for what of the redundancy is gone.
func (p *pair) gaps(now time.Time) (list []string) {
	if p.node == nil {
		return []string{"the other unit was not looked for yet"}
	}
	st := p.node.Status(now)
	switch st.Peer.State {
	case "alive":
	case "never heard":
		list = append(list, "the other unit was never heard")
	case "refused":
		list = append(list, "the other unit is refused: "+st.Peer.Reason)
	default:
		list = append(list, "the other unit is "+st.Peer.State)
	}
	for _, l := range st.Links {
		if l.State != "up" && st.Peer.State == "alive" {
			list = append(list, fmt.Sprintf("failover link %s: %s", l.Name, l.State))
		}
	}
	var without []string
	for _, g := range st.Groups {
		roles := []string{g.Role, g.PeerRole}
		if !slices.Contains(roles, failover.RoleActive.String()) || !slices.Contains(roles, failover.RoleStandbyReady.String()) {
			without = append(without, g.Name)
		}
	}
	list = append(list, differences(st)...)
	if len(without) > 0 {
		list = append(list, someOf(without, len(st.Groups), "without a standby that is ready"))
	}
	return list
}

// differences says, in a sentence or none, which groups have another configuration
// on the other unit, as far as that is heard, and what helps.
func differences(st failover.Status) []string {
	var differ []string
	for _, g := range st.Groups {
		if g.Configuration == "different" {
			differ = append(differ, g.Name)
		}
	}
	if len(differ) == 0 || st.Peer.State != "alive" {
		return nil
	}
	return []string{someOf(differ, len(st.Groups), "with another configuration on the other unit (`warren failover sync-config` on the active one copies it)")}
}

// differences says what of this unit's configuration the other one does not have.
func (p *pair) differences() (list []string) {
	if p == nil {
		return nil
	}
	p.do(func(now time.Time, _ *failover.Output) {
		if p.node != nil {
			list = differences(p.node.Status(now))
		}
	})
	return list
}

// someOf says how many of all failover groups something holds for, and names the
// first of them.
func someOf(groups []string, all int, what string) string {
	text := fmt.Sprintf("%d of %d failover groups %s: %s", len(groups), all, what, groups[0])
	if len(groups) > 1 {
		text += ", ..."
	}
	return text
}

// describe fills in what the role machine knows.
func (p *pair) describe(now time.Time, out *api.Pair) {
	for _, l := range p.links {
		out.Links = append(out.Links, api.PairLink{
			Name: l.cfg.Name, Interface: l.cfg.Interface, Device: l.on.Device,
			Address: l.cfg.Address.String(), Peer: l.cfg.Peer.String(), State: "silent",
		})
	}
	if p.node == nil {
		out.Peer.State = "not looked for yet"
		for _, g := range p.conf.Failover.Groups {
			out.Groups = append(out.Groups, api.PairGroup{Name: g.Name, Role: failover.RoleInit.String(), PeerRole: "unknown",
				Reason: "the contexts start", Prefer: string(g.Prefer), Preempt: g.Preempt, Contexts: p.contexts[g.Name]})
		}
		return
	}
	st := p.node.Status(now)
	out.Peer = api.Peer(st.Peer)
	for i, l := range st.Links {
		out.Links[i].State, out.Links[i].Reason, out.Links[i].LastHeartbeat = l.State, l.Reason, l.LastHeard
	}
	for _, i := range st.Interfaces {
		out.Interfaces = append(out.Interfaces, api.PairInterface(i))
	}
	for _, g := range st.Groups {
		out.Groups = append(out.Groups, p.groupRow(g))
	}
	for _, c := range st.History {
		out.History = append(out.History, api.RoleChange(c))
	}
}

func (p *pair) groupRow(g failover.GroupStatus) api.PairGroup {
	return api.PairGroup{
		Name: g.Name, Role: g.Role, PeerRole: g.PeerRole, Epoch: g.Epoch, Since: g.Since, Reason: g.Reason,
		Replication: g.Replication, Configuration: g.Configuration, Prefer: g.Prefer, Preempt: g.Preempt,
		Contexts: p.contexts[g.Name], Broken: g.Broken, PeerBroken: g.PeerBroken,
	}
}

// replicationOf asks a worker how far its copy is; where it does not answer,
// what it said last has to do.
func (p *pair) replicationOf(ctx context.Context, m *member, last control.Replication) api.ContextReplication {
	ctx, cancel := context.WithTimeout(ctx, replicationTimeout)
	defer cancel()
	r := last
	told, err := m.worker.Replication(ctx)
	switch {
	case err != nil:
		r.Reason = "its worker does not answer: " + m.worker.Status().Reason
	case told != nil:
		r = *told
	}
	out := api.ContextReplication{
		Context: m.name, Group: m.group, Role: "standby", State: r.State, Connected: r.Connected, Reason: r.Reason,
		Last: r.Last, Acked: r.Acked, Pending: r.Pending, Backlog: r.Backlog, Lag: r.Lag, LastBulk: r.LastBulk,
	}
	if r.Active {
		out.Role = "active"
	}
	if r.Connected && err == nil {
		out.Reason = ""
	}
	return out
}

// Switch implements api.Backend.
func (s *System) Switch(ctx context.Context, how api.Switch) (api.Switched, error) {
	p := s.pair
	if p == nil {
		return api.Switched{}, noFailover()
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Hold+switchLimit)
	defer cancel()
	before := make(map[string]failover.Role) // groups that are being switched, and what they were here
	var err error
	p.do(func(now time.Time, out *failover.Output) {
		if p.node == nil {
			err = failover.ErrNotServing
			return
		}
		for _, name := range p.toSwitch(how.Group) {
			if err = p.node.Switch(now, name, "the operator switched", out); err != nil {
				err = &fault.Error{Code: fault.CodeRefused, Reason: "group " + name + " is not switched: " + err.Error(), Hint: switchHint(err)}
				return
			}
			before[name] = p.role(name)
		}
	})
	if err != nil {
		return api.Switched{}, err
	}
	return p.awaitSwitch(ctx, before)
}

// toSwitch are the groups that an operator means.
func (p *pair) toSwitch(group string) []string {
	if group != "" {
		return []string{group}
	}
	var active, all []string
	for _, g := range p.conf.Failover.Groups {
		all = append(all, g.Name)
		if p.role(g.Name) == failover.RoleActive {
			active = append(active, g.Name)
		}
	}
	if len(active) > 0 {
		return active
	}
	return all
}

// awaitSwitch waits until the groups are active on the other side of where they
// were.
func (p *pair) awaitSwitch(ctx context.Context, before map[string]failover.Role) (api.Switched, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var out api.Switched
		missing := ""
		p.do(func(now time.Time, _ *failover.Output) {
			for _, name := range slices.Sorted(maps.Keys(before)) {
				g, ok := p.node.Group(now, name)
				if !ok {
					continue // it was configured away
				}
				was := before[name]
				out.Groups = append(out.Groups, p.groupRow(g))
				now := g.Role
				if was == failover.RoleActive {
					now = g.PeerRole
				}
				if now != failover.RoleActive.String() {
					missing = g.Name
				}
			}
		})
		if missing == "" {
			return out, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return out, &fault.Error{Code: fault.CodeRefused, Reason: "group " + missing + " has not changed its unit in time",
				Hint: "`warren show failover --detail` and warrend's log say more"}
		}
	}
}

// switchHint says what an operator can do about a switch that is refused.
func switchHint(err error) string {
	switch {
	case errors.Is(err, failover.ErrNoGroup):
		return "`warren show failover` lists the groups"
	case errors.Is(err, failover.ErrConfigDiffs):
		return "`warren failover sync-config` on the active unit makes them the same"
	case errors.Is(err, failover.ErrNotReady):
		return "`warren show failover` shows how far the copy is: try again when it is ready"
	}
	return "`warren show failover` shows the state of both units"
}

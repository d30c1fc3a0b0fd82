package pair

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/fault"
)

// switchLimit is how long a switch may take from the wish to the role, beyond
// the hold time for which a new active does not hand over.
const switchLimit = 5 * time.Second

// Switch makes the other unit active for a group, or with "" for every group that is
// active here or, where none is, for all. It returns them when they are.
func (p *Pair) Switch(ctx context.Context, group string) ([]Group, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Hold+switchLimit)
	defer cancel()
	before := make(map[string]failover.Role) // groups that are being switched, and what they were here
	var err error
	p.do(func(now time.Time, out *failover.Output) {
		if p.node == nil {
			err = failover.ErrNotServing
			return
		}
		for _, name := range p.toSwitch(group) {
			if err = p.node.Switch(now, name, "the operator switched", out); err != nil {
				err = &fault.Error{Code: fault.CodeRefused,
					Reason: "group " + name + " is not switched: " + err.Error(), Hint: switchHint(err)}
				return
			}
			before[name] = p.roles.of(name)
		}
	})
	if err != nil {
		return nil, err
	}
	return p.awaitSwitch(ctx, before)
}

// toSwitch are the groups that an operator means.
func (p *Pair) toSwitch(group string) []string {
	if group != "" {
		return []string{group}
	}
	var active, all []string
	for _, g := range p.conf.Failover.Groups {
		all = append(all, g.Name)
		if p.roles.of(g.Name) == failover.RoleActive {
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
func (p *Pair) awaitSwitch(ctx context.Context, before map[string]failover.Role) ([]Group, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var out []Group
		missing := ""
		p.do(func(now time.Time, _ *failover.Output) {
			for _, name := range slices.Sorted(maps.Keys(before)) {
				g, ok := p.node.Group(now, name)
				if !ok {
					continue // it was configured away
				}
				was := before[name]
				out = append(out, p.members.row(g))
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
			return out, &fault.Error{Code: fault.CodeRefused,
				Reason: "group " + missing + " has not changed its unit in time",
				Hint:   "`warren show failover --detail` and warrend's log say more"}
		}
	}
}

// switchHint says what an operator can do about a switch that is refused.
func switchHint(err error) string {
	switch {
	case errors.Is(err, failover.ErrNoGroup):
		return "`warren show failover` lists the groups"
	case errors.Is(err, failover.ErrConfigDiffs):
		return "`warren failover diff` shows how, `warren apply` on the active unit makes them the same"
	case errors.Is(err, failover.ErrNotReady):
		return "`warren show failover` shows how far the copy is: try again when it is ready"
	}
	return "`warren show failover` shows the state of both units"
}

package pair

import (
	"time"

	"github.com/warrenvpn/warren/failover"
)

// HandOver gives what is active here to the peer, if that is ready for it, and
// waits until the peer has it, no longer than limit.
func (p *Pair) HandOver(limit time.Duration) {
	if p == nil {
		return
	}
	given := make(map[string]bool)
	p.do(func(now time.Time, out *failover.Output) {
		for _, g := range p.conf.Failover.Groups {
			if p.node == nil || p.roles.of(g.Name) != failover.RoleActive {
				continue
			}
			if err := p.node.Switch(now, g.Name, "this unit is being stopped", out); err != nil {
				p.log.Info("failover group not handed over", "group", g.Name, "reason", err)
				continue
			}
			given[g.Name] = true
		}
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); len(given) > 0 && time.Now().Before(end); <-tick.C {
		p.do(func(now time.Time, _ *failover.Output) {
			for name := range given {
				if g, ok := p.node.Group(now, name); !ok || g.PeerRole == failover.RoleActive.String() {
					delete(given, name)
				}
			}
		})
	}
}

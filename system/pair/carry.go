package pair

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/failover"
)

// carry does what an Output says, in the order that it documents.
func (p *Pair) carry(ctx context.Context, out *failover.Output) {
	for refused := p.epochs.remember(out.Remember); len(refused) > 0; {
		// Nothing of out has happened yet. Groups whose epochs are not on disk
		// do not become active, and what the peer would have been told is told again.
		out.Send = nil
		var more failover.Output
		for group, reason := range refused {
			p.node.Unwritten(time.Now(), group, reason, &more)
		}
		out.Changes = append(out.Changes, more.Changes...)
		out.Quiesce, out.Announce = append(out.Quiesce, more.Quiesce...), more.Announce
		out.Send, out.Events = more.Send, append(out.Events, more.Events...)
		refused = p.epochs.remember(more.Remember)
	}
	p.takeover.change(ctx, out.Changes)
	p.takeover.announce(out.Announce)
	for _, q := range out.Quiesce {
		p.takeover.quiescing.begin(ctx, q)
	}
	for _, d := range out.Send {
		if err := p.send(d); err != nil {
			p.log.Debug("heartbeat not sent", "reason", err)
		}
	}
	for _, e := range out.Events {
		p.tell(e)
	}
	if p.node != nil {
		p.takeover.notice(ctx, p.node.Alone(time.Now()))
	}
}

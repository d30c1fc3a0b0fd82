package pair

import (
	"context"
	"log/slog"

	"github.com/warrenvpn/warren/failover"
)

// tell logs an event.
func (p *Pair) tell(e failover.Event) {
	args := []any{}
	add := func(key string, value any, there bool) {
		if there {
			args = append(args, key, value)
		}
	}
	add("group", e.Group, e.Group != "")
	add("from", e.From.String(), e.Kind == failover.EventRole)
	add("to", e.To.String(), e.Kind == failover.EventRole)
	add("epoch", e.Epoch, e.Epoch != 0)
	switch {
	case e.Path.Link == failover.DataPath:
		add("interface", e.Path.Interface, true)
	case e.Kind == failover.EventLinkUp || e.Kind == failover.EventLinkDown || e.Kind == failover.EventPeerRefused:
		add("link", p.cfg.Links[e.Path.Link].Name, true)
	}
	add("reason", e.Text, e.Text != "")
	level := slog.LevelInfo
	switch e.Kind {
	case failover.EventPeerDown, failover.EventPeerRefused, failover.EventLinkDown, failover.EventLinksFailed,
		failover.EventSplitBrain, failover.EventTakeoverDenied, failover.EventSkew, failover.EventConfigurationDiffers:
		level = slog.LevelWarn
	case failover.EventRole, failover.EventPeerUp, failover.EventLinkUp, failover.EventConfiguration,
		failover.EventInterface, failover.EventHandover:
	}
	if e.Kind == failover.EventLinkUp && e.Path.Link == failover.DataPath {
		level = slog.LevelDebug // they speak only now and then
	}
	p.log.Log(context.Background(), level, e.Kind.String(), args...)
}

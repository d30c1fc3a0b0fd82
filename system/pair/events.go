package pair

import (
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/system/events"
)

// kinds are the kinds of package failover's events in the stream of events, in their
// order.
var kinds = map[failover.EventKind]string{
	failover.EventRole: "failover_role", failover.EventPeerUp: "failover_peer_up",
	failover.EventPeerDown: "failover_peer_down", failover.EventPeerRefused: "failover_peer_refused",
	failover.EventLinkUp: "failover_link_up", failover.EventLinkDown: "failover_link_down",
	failover.EventLinksFailed: "failover_links_failed", failover.EventSplitBrain: "failover_split_brain",
	failover.EventConfiguration:        "failover_configuration_same",
	failover.EventConfigurationDiffers: "failover_configuration_differs",
	failover.EventInterface:            "failover_interface", failover.EventHandover: "failover_handover",
	failover.EventTakeoverDenied: "failover_takeover_denied", failover.EventSkew: "failover_skew",
}

// tell tells of an event of the role machine.
func (p *Pair) tell(e failover.Event) {
	f := &events.Failover{Kind: kinds[e.Kind], Message: e.Kind.String(), Level: levelOf(e),
		Group: e.Group, Epoch: e.Epoch, Reason: e.Text}
	if e.Kind == failover.EventRole {
		f.Changed, f.From, f.To = true, e.From.String(), e.To.String()
	}
	switch {
	case e.Path.Link == failover.DataPath:
		f.Interface = e.Path.Interface
	case e.Kind == failover.EventLinkUp || e.Kind == failover.EventLinkDown || e.Kind == failover.EventPeerRefused:
		f.Link = p.cfg.Links[e.Path.Link].Name
	}
	p.events.Tell(p.log, "", f)
}

// levelOf says whom an event concerns.
func levelOf(e failover.Event) control.Level {
	switch e.Kind {
	case failover.EventPeerDown, failover.EventPeerRefused, failover.EventLinkDown, failover.EventLinksFailed,
		failover.EventSplitBrain, failover.EventTakeoverDenied, failover.EventSkew, failover.EventConfigurationDiffers:
		return control.LevelWarn
	case failover.EventLinkUp:
		if e.Path.Link == failover.DataPath {
			return control.LevelDebug // they speak only now and then
		}
	case failover.EventRole, failover.EventPeerUp, failover.EventConfiguration, failover.EventInterface,
		failover.EventHandover:
	}
	return control.LevelInfo
}

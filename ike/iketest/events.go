package iketest

import (
	"fmt"
	"strings"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
)

// recordText says what a record of n does.
func (t *Transcript) recordText(n *Node, r exchange.Record) string {
	spi := t.names.ike(n, r.SPI)
	switch r.Kind {
	case exchange.RecordHalfOpen:
		return "half-open " + spi
	case exchange.RecordIKE:
		if r.Replaces != 0 {
			return "IKE SA " + spi + ", has the child SAs of " + t.names.ike(n, r.Replaces)
		}
		return "IKE SA " + spi
	case exchange.RecordWindow:
		return "message IDs of " + spi
	case exchange.RecordIKEDown:
		return "end of " + spi
	case exchange.RecordChild:
		c := r.Child.Child
		if r.Child.Op == sa.OpMove && r.Surplus {
			return fmt.Sprintf("child SA %s is surplus", t.child(n, c.ID))
		}
		if r.Child.Op == sa.OpMove {
			return fmt.Sprintf("child SA move %s to %v", t.child(n, c.ID), c.RemoteAddr)
		}
		if r.Child.Replaces != 0 {
			return fmt.Sprintf("child SA %v %s for %s", r.Child.Op, t.child(n, c.ID), t.child(n, r.Child.Replaces))
		}
		return fmt.Sprintf("child SA %v %s", r.Child.Op, t.child(n, c.ID))
	}
	return fmt.Sprintf("kind %d", r.Kind)
}

// child returns both SPIs of a child SA of n, its inbound one first.
func (t *Transcript) child(n *Node, id uint64) string {
	if name, ok := t.children[childOf{n, id}]; ok {
		return name
	}
	return "?"
}

// learnChild notes what a child SA is called. The peer's SPI is its own.
func (t *Transcript) learnChild(n *Node, r exchange.Record) {
	if r.Child == nil || r.Child.Child.In.SPI == 0 {
		return
	}
	c := r.Child.Child
	t.children[childOf{n, c.ID}] = t.names.esp(n, c.In.SPI) + "/" + t.names.esp(t.other(n), c.Out.SPI)
}

// eventText says what an engine has told.
func (t *Transcript) eventText(n *Node, e exchange.Event) string {
	text := strings.TrimPrefix(fmt.Sprintf("%T", e), "exchange.")
	switch e := e.(type) {
	case exchange.AskSession:
		return text + " " + e.Peer.RemoteID
	case exchange.IKEUp:
		return text + " " + t.names.ike(n, e.Peer.SPI) + " with " + e.Peer.RemoteID
	case exchange.IKEDown:
		return text + " " + t.names.ike(n, e.Peer.SPI) + ": " + e.Reason
	case exchange.IKERekeyed:
		return text + " " + t.names.ike(n, e.Old) + ", now " + t.names.ike(n, e.Peer.SPI)
	case exchange.ChildUp:
		c := &e.Child
		return fmt.Sprintf("%s %s, %s to %s", text, t.child(n, c.ID), selectors(c.Local), selectors(c.Remote))
	case exchange.ChildDown:
		return text + " " + t.child(n, e.ID) + ": " + e.Reason
	case exchange.Cut:
		return text + " " + t.child(n, e.ID) + " lacks " + selectors(e.Lost)
	case exchange.Narrowed:
		return fmt.Sprintf("%s to %s, %s; lost: %s", text, selectors(e.Local), selectors(e.Remote), selectors(e.Lost))
	case exchange.Moved:
		return fmt.Sprintf("%s %s from %v to %v", text, t.names.ike(n, e.Peer.SPI), e.From, e.Peer.Remote)
	case exchange.Refused:
		return strings.TrimRight(text+" "+e.Notify, " ") + ": " + e.Reason
	case exchange.Garbled:
		return fmt.Sprintf("%s %s: %d messages", text, t.names.ike(n, e.Peer.SPI), e.Messages)
	case exchange.Fault:
		return text + ": " + e.Reason
	case exchange.AddressAssigned:
		return fmt.Sprintf("%s %v", text, e.Session.Addresses)
	case exchange.SkipNumbers:
		return fmt.Sprintf("%s %s by %d", text, t.child(n, e.ID), e.Numbers)
	case exchange.PeerSkipped:
		return fmt.Sprintf("%s %s by %d", text, t.child(n, e.ID), e.Numbers)
	}
	return text
}

// commandText says what n is told to do.
func (t *Transcript) commandText(n *Node, c exchange.Command) string {
	text := "is told " + strings.TrimPrefix(fmt.Sprintf("%T", c), "exchange.")
	switch c := c.(type) {
	case exchange.Initiate:
		return text + " " + c.Entry
	case exchange.DeleteIKE:
		return text + " " + t.names.ike(n, c.SPI)
	case exchange.RekeyIKE:
		return text + " " + t.names.ike(n, c.SPI)
	case exchange.DeleteChild:
		return text + " " + t.child(n, c.ID)
	case exchange.RekeyChild:
		return text + " " + t.child(n, c.ID)
	}
	return text
}

package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/ike/exchange"
)

// publish does what an event of the engine calls for, and logs it.
func (w *Worker) publish(now time.Time, e exchange.Event) {
	switch e := e.(type) {
	case exchange.AskSession:
		w.decide(now, subjectOf(e), false)
	case exchange.AskWork:
		w.crew.put(job{w.engine, e})
	case exchange.AskEAP:
		if a, known := w.logins.ask(now, w.engine, e); known {
			answerEAP(w.engine, now, a, &w.out)
		}
	case exchange.IKEUp:
		w.tell(&control.IKEUp{Peer: peerOf(e.Peer), Profile: e.Peer.Profile, Suite: e.Suite.String(), NAT: e.NAT,
			Initiator: e.Initiator, Assigned: e.Session.Addresses})
		if x := w.sessions.Lookup(handleOf(e.Peer.SPI)); x != nil { // nil: we have connected to the peer
			w.tell(sessionUp(x, e.Peer))
		}
	case exchange.IKEDown:
		w.tell(&control.IKEDown{Peer: peerOf(e.Peer), Reason: e.Reason})
		if x := w.closeSession(handleOf(e.Peer.SPI)); x != nil {
			w.tell(sessionDown(now, x, e))
		}
		w.assigned.remove(e.Peer.SPI)
	case exchange.IKERekeyed:
		w.tell(&control.IKERekeyed{Peer: peerOf(e.Peer), Old: e.Old})
		w.assigned.rename(e.Old, e.Peer)
	case exchange.ChildUp:
		w.tell(&control.ChildUp{Peer: peerOf(e.Peer), Child: e.Child.ID,
			SPIIn: uint32(e.Child.In.SPI), SPIOut: uint32(e.Child.Out.SPI),
			Encryption: e.Child.Out.Encryption.String(), Encapsulation: e.Child.Encap.String(),
			LocalTS: texts(e.Child.Local), RemoteTS: texts(e.Child.Remote)})
	case exchange.Cut:
		w.tell(&control.ChildCut{Peer: peerOf(e.Peer), Child: e.ID, Lost: texts(e.Lost)})
	case exchange.ChildDown:
		w.tell(&control.ChildDown{Peer: peerOf(e.Peer), Child: e.ID, Reason: e.Reason})
	case exchange.Moved:
		w.tell(&control.PeerMoved{Peer: peerOf(e.Peer), From: e.From})
	case exchange.Refused:
		w.limits.refusals.engine(now, e)
	case exchange.Garbled:
		w.limits.refusals.garbled(now, e)
	case exchange.Narrowed:
		w.tell(&control.ChildNarrowed{Peer: peerOf(e.Peer), LocalTS: texts(e.Local), RemoteTS: texts(e.Remote),
			Lost: texts(e.Lost), Detail: fmt.Sprintf("asked for %v === %v", texts(e.AskedLocal), texts(e.AskedRemote))})
	case exchange.Fault:
		w.tell(&control.IKEFault{Peer: peerOf(e.Peer), Reason: e.Reason, Detail: strings.Join(e.Where, " < ")})
	case exchange.AddressAssigned:
		w.assigned.add(e)
	case exchange.SkipNumbers:
		w.replica.SkipOut(e.ID, e.Numbers)
	case exchange.PeerSkipped:
		if known, ok := w.replica.Known(e.ID); ok {
			w.plane.AdvanceIn(e.ID, known+e.Numbers)
		}
	default:
		panic(fmt.Sprintf("worker: internal error: event %T", e))
	}
}

// sessionUp and sessionDown are a session in the words of events.
func sessionUp(x *session.Session, p exchange.Peer) control.Fact {
	return &control.SessionUp{Peer: peerOf(p), Profile: x.Group, GroupPolicy: x.Granted.GroupPolicy,
		Assigned: x.Granted.Addresses}
}

func sessionDown(now time.Time, x *session.Session, e exchange.IKEDown) control.Fact {
	return &control.SessionDown{Peer: peerOf(e.Peer), Reason: e.Reason, Duration: now.Sub(x.Since),
		BytesIn: x.BytesIn, BytesOut: x.BytesOut}
}

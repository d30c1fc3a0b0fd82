package worker

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
)

// publish does what an event of the engine calls for, and logs it.
func (w *Worker) publish(now time.Time, e exchange.Event) {
	switch e := e.(type) {
	case exchange.AskSession:
		w.decide(now, subjectOf(e), false)
	case exchange.IKEUp:
		of(w.log, e.Peer).Info("IKE SA established", "profile", e.Peer.Profile, "suite", e.Suite.String(),
			"nat", e.NAT, "initiator", e.Initiator, "assigned", e.Session.Addresses)
	case exchange.IKEDown:
		of(w.log, e.Peer).Info("IKE SA ended", "reason", e.Reason)
		w.closeSession(handleOf(e.Peer.SPI))
		w.assigned.remove(e.Peer.SPI)
	case exchange.IKERekeyed:
		of(w.log, e.Peer).Info("IKE SA rekeyed", "old", spiText(e.Old))
		w.keepSession(w.sessions.Rename(handleOf(e.Old), handleOf(e.Peer.SPI)))
		w.assigned.rename(e.Old, e.Peer)
	case exchange.ChildUp:
		of(w.log, e.Peer).Info("child SA established", "spi_in", e.Child.In.SPI.String(),
			"spi_out", e.Child.Out.SPI.String(),
			"encryption", e.Child.Out.Encryption.String(), "encapsulation", e.Child.Encap.String(),
			"local_ts", texts(e.Child.Local), "remote_ts", texts(e.Child.Remote))
	case exchange.Cut:
		of(w.log, e.Peer).Warn("child SA has no room for all networks", "child", e.ID, "lost", texts(e.Lost))
	case exchange.ChildDown:
		of(w.log, e.Peer).Info("child SA ended", "child", e.ID, "reason", e.Reason)
	case exchange.Moved:
		of(w.log, e.Peer).Info("peer has a new address", "from", e.From)
	case exchange.Refused:
		w.limits.refusals.engine(now, e)
	case exchange.Garbled:
		w.limits.refusals.garbled(now, e)
	case exchange.Narrowed:
		of(w.log, e.Peer).Warn("the peer protects less than was asked for", "local_ts", texts(e.Local),
			"remote_ts", texts(e.Remote), "lost", texts(e.Lost),
			"detail", fmt.Sprintf("asked for %v === %v", texts(e.AskedLocal), texts(e.AskedRemote)))
	case exchange.Fault:
		of(w.log, e.Peer).Error("internal error, the IKE SA is ended", "reason", e.Reason,
			"detail", strings.Join(e.Where, " < "))
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

// of returns the logger for what happens to one IKE SA.
func of(log *slog.Logger, p exchange.Peer) *slog.Logger {
	return log.With("sa", spiText(p.SPI), "peer", p.Remote, "identity", p.RemoteID)
}

func spiText(spi uint64) string { return fmt.Sprintf("%016x", spi) }

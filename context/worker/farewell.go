package worker

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/ike/exchange"
)

// maxFarewells bounds the lines about single IKE SAs that end with their context.
const maxFarewells = 16

// reasonStopped is why an IKE SA ends with its context, for both ends.
const reasonStopped = "the context is stopped"

// Goodbye ends every SA with a DELETE; nobody waits for the answers. A context of a
// pair goes on at the other node.
func (w *Worker) Goodbye(ctx context.Context) error {
	return w.do(ctx, func(now time.Time) error {
		w.replica.Last(func() {
			ended := w.engine.Status()
			for _, s := range ended {
				w.command(now, exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: reasonStopped})
			}
			w.flush(now)
			tellEnded(w.tell, ended)
		})
		return nil
	})
}

// tellEnded tells of the end of IKE SAs, of which the engine will tell nothing: the
// worker does not live to see the answers.
func tellEnded(tell func(control.Fact), ended []exchange.Status) {
	for i, s := range ended {
		if i == maxFarewells {
			tell(&control.IKEsDown{Count: uint64(len(ended) - i), Reason: reasonStopped})
			return
		}
		tell(&control.IKEDown{Peer: peerOf(s.Peer), Reason: reasonStopped})
	}
}

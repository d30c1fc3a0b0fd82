package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
)

// Reconfigure replaces the tenant's specification. Sockets and devices stay. An
// established SA stays unless the change concerns it: then it ends or is rekeyed
// (ike.Engine.Reconfigure, session.Table.Unfit).
func (w *Worker) Reconfigure(ctx context.Context, t *spec.Tenant) error {
	return w.do(ctx, func(now time.Time) error {
		if err := w.engine.Reconfigure(now, engineConfig(t), &w.out); err != nil {
			return fmt.Errorf("worker: configuring the engine: %w", err)
		}
		var out session.Output
		if err := w.sessions.Configure(t, &out); err != nil {
			return err
		}
		w.tenant = t
		w.limit(t.Limits)
		w.perform(now, &out)
		if err := w.plane.SetOptions(planeOptions(t)); err != nil {
			return err
		}
		w.standing.reconfigure(t, w.engine.Status())
		w.log.Info("configuration changed")
		w.tellStanding(now)
		_ = w.replica.Serve(func() { w.endUnfit(now) })
		return nil
	})
}

// endUnfit ends what the configuration of now would not let in.
func (w *Worker) endUnfit(now time.Time) {
	for _, s := range w.engine.Status() {
		var granted *session.Grant
		if !s.Dialled && !s.Established.IsZero() {
			g := grantOf(s.Session)
			granted = &g
		}
		if reason := w.sessions.Unfit(session.IKEv2, s.Peer.Profile, granted); reason != "" {
			w.command(now, exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: reason})
		}
	}
	w.carry(now)
}

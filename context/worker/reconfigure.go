package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/ike/exchange"
)

// Reconfigure replaces the tenant's specification. Sockets and devices stay. An
// established SA stays unless the change concerns it: then it ends or is rekeyed
// (ike.Engine.Reconfigure, session.Table.Unfit). A supervisor that is new knows nothing
// of this worker: it is told again what the worker has asked for before.
func (w *Worker) Reconfigure(ctx context.Context, t *spec.Tenant, isNew bool) error {
	return w.do(ctx, func(now time.Time) error {
		cfg, err := engineConfig(t)
		if err != nil {
			return err
		}
		if err := w.logins.configure(t); err != nil {
			return err
		}
		if err := w.engine.Reconfigure(now, cfg, &w.out); err != nil {
			return fmt.Errorf("worker: configuring the engine: %w", err)
		}
		if err := w.sessions.Configure(t); err != nil {
			return err
		}
		w.tenant = t
		w.replica.Reconfigured()
		w.limits.set(t.Limits)
		var out session.Output
		_ = w.replica.Serve(func() { w.sessions.Reserve(&out) })
		w.applySessions(now, &out)
		if err := w.plane.SetOptions(planeOptions(t)); err != nil {
			return err
		}
		if isNew {
			w.log.Info("another supervisor looks after this worker")
			_ = w.replica.Serve(w.assigned.repeat)
			w.replica.Repeat()
		} else {
			w.tell(&control.Reconfigured{})
		}
		w.routes.reconfigure(t, w.engine.Status())
		w.tellRoutes(now)
		_ = w.replica.Serve(func() {
			for _, c := range unfit(w.sessions, w.engine.Status()) {
				w.command(now, c)
			}
			w.flush(now)
		})
		return nil
	})
}

// unfit returns what ends the IKE SAs that the configuration of now would not let in.
func unfit(t *session.Table, all []exchange.Status) (ends []exchange.DeleteIKE) {
	for _, s := range all {
		var granted *session.Grant
		if !s.Dialled && !s.Established.IsZero() {
			g := grantOf(s.Session)
			granted = &g
		}
		if reason := t.Unfit(spec.IKEv2, s.Peer.RemoteID, s.Peer.Profile, granted); reason != "" {
			ends = append(ends, exchange.DeleteIKE{SPI: s.Peer.SPI, Reason: reason})
		}
	}
	return ends
}

package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// SetRole makes the worker serve the tenant, or hold what its twin serves. It answers
// as soon as traffic has started or stopped. The rest, which grows with the number of
// SAs, is done after the answer.
func (w *Worker) SetRole(ctx context.Context, r control.Activation) error {
	if r.Active { // a twin that serves without a supervisor has to fall silent first
		var relieved <-chan struct{}
		err := w.do(ctx, func(now time.Time) error {
			relieved = w.replica.Relieve(now)
			return nil
		})
		if err != nil {
			return err
		}
		select {
		case <-relieved:
		case <-ctx.Done():
			return fmt.Errorf("worker: waiting for the silence of the twin: %w", context.Cause(ctx))
		}
	}
	answer := make(chan error, 1)
	err := w.inbox.call(ctx, func(now time.Time) error {
		step, err := w.replica.SetRole(r)
		if err != nil {
			answer <- fmt.Errorf("worker: context %s: %w", w.tenant.Name, err)
			return nil
		}
		w.plane.Mute(!r.Active)
		answer <- nil
		if err := w.change(now, step); err != nil {
			return fmt.Errorf("worker: changing the role: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return <-answer
}

// change does what a change of the role asks for.
func (w *Worker) change(now time.Time, step replica.Step) error {
	epoch := w.replica.Epoch()
	switch step {
	case replica.StepNone:
		return nil
	case replica.StepEpoch:
		w.replica.Open()
		w.engine.SetEpoch(epoch)
	case replica.StepTakeOver:
		w.plane.Mute(false)
		w.replica.Open()
		if err := w.takeOver(now, epoch); err != nil {
			return err
		}
	case replica.StepResume:
		w.resume(now)
		return nil
	case replica.StepBack:
		return w.stepBack(now, epoch)
	}
	w.tell(&control.Activated{Epoch: epoch, Sessions: uint64(w.sessions.Len())})
	return nil
}

// takeOver makes the engine go on from what the journal holds of the twin.
// Messages that came in meanwhile are dropped: peers repeat what still matters.
func (w *Worker) takeOver(now time.Time, epoch uint64) error {
	w.inbox.drain()
	sessions, err := session.New(w.tenant, w.sessions.Pools().Habits)
	if err != nil {
		return err
	}
	w.sessions = sessions
	w.adoptSessions(now)
	w.routes.repeat()
	w.engine.SetEpoch(epoch)
	w.resume(now)
	return nil
}

// resume starts the timers of what came from the journal, ends child SAs that could not
// be installed, and starts the connections that the configuration wants.
func (w *Worker) resume(now time.Time) {
	for _, s := range w.engine.Status() {
		w.assigned.adopt(s)
	}
	w.engine.Activate(now, &w.out)
	w.endRefused(now)
	w.flush(now)
}

// stepBack makes the worker a standby with what its journal holds.
func (w *Worker) stepBack(now time.Time, epoch uint64) error {
	w.out = exchange.Output{}
	sessions, err := session.New(w.tenant, nil)
	if err != nil {
		return err
	}
	w.sessions = sessions
	n, err := w.replica.StepBack()
	if err != nil {
		return err
	}
	w.restored(now, n)
	w.tell(&control.StoodBy{Epoch: epoch})
	return nil
}

// Quiesce lets what has begun come to its end, and tells the supervisor when
// the standby has everything. No message of a peer is taken up until the role
// changes.
func (w *Worker) Quiesce(ctx context.Context, q control.Quiesce) error {
	return w.do(ctx, func(now time.Time) error {
		w.replica.Quiesce(now, q)
		return nil
	})
}

// Link authenticates the twin at the other end of conn, which the worker owns
// from now on, and starts to replicate. Both have the key. It returns when that is
// so.
func (w *Worker) Link(ctx context.Context, conn net.Conn, key secret.Value) error {
	s, failed := w.replica.Authenticate(ctx, conn, key)
	if failed != nil {
		failed = fmt.Errorf("worker: %w", failed)
	}
	err := w.do(ctx, func(time.Time) error {
		w.replica.Attach(s, failed)
		return nil
	})
	if err != nil && s != nil {
		s.Close()
	}
	return errors.Join(failed, err)
}

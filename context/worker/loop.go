package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/ike/exchange"
)

// Run serves the tenant until ctx ends or the data plane fails.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer close(w.logins.ended)
	owned.Go(func() {
		if err := w.plane.Run(ctx); err != nil {
			cancel(fmt.Errorf("worker: data plane: %w", err))
		}
	})
	owned.Go(func() { w.supervisor.askAll(ctx) })
	owned.Go(func() { w.supervisor.claimAll(ctx) })
	owned.Go(func() { _ = w.logins.Run(ctx) })
	for range hands() {
		owned.Go(func() { w.crew.run(ctx) })
	}
	pace := newRest()
	owned.Go(func() { pace.run(ctx) })

	select {
	case <-w.plane.Ready():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := w.start(w.clock.now()); err != nil {
		cancel(err)
		return err
	}
	close(w.ready)
	if err := w.loop(ctx, pace); err != nil {
		cancel(err)
	}
	w.replica.Stop("the worker ends")
	return context.Cause(ctx)
}

// Ready is closed when the worker does what it was made for: packets move, or it
// follows its twin.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// loop owns the engine and everything else that has no lock. It returns an error where
// a call says that it cannot go on.
func (w *Worker) loop(ctx context.Context, pace *rest) error {
	deadline := time.NewTimer(time.Hour)
	defer deadline.Stop()
	chores := time.NewTicker(housekeeping)
	defer chores.Stop()
	for {
		now := w.clock.now()
		step, err := w.replica.Forsake(now)
		if err == nil {
			err = w.change(now, step)
		}
		if err != nil {
			return fmt.Errorf("worker: falling silent: %w", err)
		}
		if at, ok := w.engine.Deadline(); ok {
			deadline.Reset(w.clock.until(at))
		} else {
			deadline.Stop()
		}
		known := replica.WhenListening(w.replica, w.inbox.known)
		strangers := replica.WhenListening(w.replica, w.inbox.strangers)
		w.replica.Push(w.clock.now(), len(known)+len(strangers) > 0)
		twin := w.replica.Inputs()
		select {
		case <-ctx.Done():
			return nil
		case b, ok := <-twin.Received:
			w.replica.Receive(w.clock.now(), b, ok)
		case <-twin.Room:
			w.replica.Feed(w.clock.now())
		case <-twin.Pace:
			w.replica.Feed(w.clock.now())
		case <-twin.Overdue:
			w.replica.Overdue()
		case <-twin.Tend:
			w.replica.Tend(w.clock.now())
		case p := <-known:
			w.receive(w.clock.now(), w.inbox.next(p))
		case d := <-strangers:
			for range w.inbox.backlog() {
				w.receive(w.clock.now(), w.inbox.next(<-known))
			}
			w.receive(w.clock.now(), d)
		case r := <-replica.WhenServing(w.replica, w.inbox.reports):
			w.report(w.clock.now(), r)
		case f := <-w.inbox.calls:
			if err := f(w.clock.now()); err != nil {
				return err
			}
		case <-replica.WhenServing(w.replica, deadline.C):
			now := w.clock.now()
			w.engine.Expire(now, &w.out)
			w.flush(now)
		case <-chores.C:
			w.tick(w.clock.now())
			if pace.tick() {
				w.replica.Condense()
				pace.giveBack()
			}
		}
	}
}

// receive gives a message to the engine.
func (w *Worker) receive(now time.Time, d exchange.Datagram) {
	if err := w.engine.Receive(now, d, &w.out); err != nil {
		w.log.Debug("message dropped", "peer", d.Remote, "reason", err)
	}
	w.flush(now)
}

// start begins the role that the supervisor wants. Nothing else runs in the loop yet.
func (w *Worker) start(now time.Time) error {
	step, err := w.replica.Start()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return w.change(now, step)
}

// do runs f in the loop and waits for it.
func (w *Worker) do(ctx context.Context, f func(now time.Time) error) error {
	done := make(chan error, 1)
	err := w.inbox.call(ctx, func(now time.Time) error {
		done <- f(now)
		return nil
	})
	if err != nil {
		return err
	}
	return <-done
}

// report does what a report of the data plane calls for.
func (w *Worker) report(now time.Time, r plane.Report) {
	switch r.Kind {
	case plane.ReportMoved:
		w.command(now, exchange.PeerMoved{ID: r.Child, Remote: r.Remote})
	case plane.ReportRekey:
		w.command(now, exchange.RekeyChild{ID: r.Child})
	case plane.ReportExpired:
		w.command(now, exchange.DeleteChild{ID: r.Child, Reason: "its volume or its sequence numbers are used up"})
	case plane.ReportUnknownSPI:
		if r.SPI == 0 {
			w.tell(&control.UnknownSPIs{Count: uint64(r.Count)})
			break
		}
		w.tell(&control.UnknownSPI{Peer: r.Remote, SPI: uint32(r.SPI), Count: uint64(r.Count)})
	case plane.ReportClear:
		w.limits.clearTo = r.Remote.Addr()
	case plane.ReportPathMTU:
		w.log.Debug("path MTU changed", "child", r.Child, "mtu", r.MTU)
	case plane.ReportReserve:
		if err := w.replica.Raise(now, r.Child); err != nil {
			w.command(now, exchange.RekeyChild{ID: r.Child})
		}
	}
	w.flush(now)
}

// command gives c to the engine. What no longer exists needs nothing done.
func (w *Worker) command(now time.Time, c exchange.Command) {
	if err := w.engine.Command(now, c, &w.out); err != nil {
		w.log.Debug("command has no effect", "command", fmt.Sprintf("%T", c), "reason", err)
	}
}

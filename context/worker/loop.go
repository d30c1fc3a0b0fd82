package worker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/ike/exchange"
)

// errStopped is what a call gets when the loop has ended.
var errStopped = errors.New("worker: stopped")

// Run serves the tenant until ctx ends or the data plane fails.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var owned sync.WaitGroup
	defer owned.Wait()
	owned.Go(func() {
		if err := w.plane.Run(ctx); err != nil {
			cancel(fmt.Errorf("worker: data plane: %w", err))
		}
	})
	owned.Go(func() { w.supervisor.askAll(ctx) })
	owned.Go(func() { w.supervisor.claimAll(ctx) })

	select {
	case <-w.plane.Ready():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := w.begin(w.clock.now()); err != nil {
		cancel(err)
		return err
	}
	close(w.ready)
	w.loop(ctx)
	if w.broken != nil {
		cancel(w.broken)
	}
	if w.twin != nil {
		w.twin.detach(w, "the worker ends")
	}
	return context.Cause(ctx)
}

// Ready is closed when the worker does what it was made for: packets move, or it
// follows its twin.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// String names the task.
func (w *Worker) String() string { return "worker" }

// loop owns the engine and everything else that has no lock.
func (w *Worker) loop(ctx context.Context) {
	deadline := time.NewTimer(time.Hour)
	defer deadline.Stop()
	chores := time.NewTicker(housekeeping)
	defer chores.Stop()
	for {
		if at, ok := w.engine.Deadline(); ok && w.twin.speaks() {
			deadline.Reset(w.clock.until(at))
		} else {
			deadline.Stop()
		}
		known, strangers := w.queues()
		select {
		case <-ctx.Done():
			return
		case b, ok := <-w.twin.messages():
			w.hear(w.clock.now(), b, ok)
		case <-w.twin.sending():
			w.twin.feed(w.clock.now())
			w.twin.report(w)
		case <-w.twin.pace():
			w.twin.feed(w.clock.now())
			w.twin.report(w)
		case <-w.twin.patience():
			w.twin.overdue(w)
		case d := <-known:
			w.take(w.clock.now(), d)
		case d := <-strangers:
			for range len(known) {
				w.take(w.clock.now(), <-known)
			}
			w.take(w.clock.now(), d)
		case r := <-w.reports:
			w.heed(w.clock.now(), r)
		case f := <-w.calls:
			if f(w.clock.now()); w.broken != nil {
				return
			}
		case <-deadline.C:
			now := w.clock.now()
			w.engine.Expire(now, &w.out)
			w.carry(now)
		case <-chores.C:
			now := w.clock.now()
			w.keepHouse(now)
			w.balance(now)
			w.tellStanding(now)
			w.watchLimits(now)
		}
	}
}

// take gives a message to the engine.
func (w *Worker) take(now time.Time, d exchange.Datagram) {
	if err := w.engine.Receive(now, d, &w.out); err != nil {
		w.log.Debug("message dropped", "peer", d.Remote, "reason", err)
	}
	w.carry(now)
}

// begin starts the timers of what was restored and the connections that the
// configuration wants, unless the worker begins as the standby.
func (w *Worker) begin(now time.Time) error {
	switch {
	case w.twin == nil:
		for _, p := range w.children.byID {
			w.unbind(p)
		}
		for _, s := range w.engine.Status() {
			w.adoptAddresses(s)
		}
		w.engine.Activate(now, &w.out)
		w.carry(now)
		return nil
	case w.role.Active:
		rest, err := w.serve(w.role.Epoch)
		if err != nil {
			return err
		}
		return rest(now)
	}
	w.attend(w.role.Epoch)
	return nil
}

// do runs f in the loop and waits for it.
func (w *Worker) do(ctx context.Context, f func(now time.Time) error) error {
	done := make(chan error, 1)
	select {
	case w.calls <- func(now time.Time) { done <- f(now) }:
		return <-done
	case <-ctx.Done():
		return errStopped
	}
}

// receive takes an IKE message from the data plane, whose buffer it is.
func (w *Worker) receive(local, remote netip.AddrPort, payload []byte) {
	w.inbox.put(exchange.Datagram{Local: local, Remote: remote, Payload: append([]byte(nil), payload...)})
}

// report takes a report of the data plane.
func (w *Worker) report(r plane.Report) {
	select {
	case w.reports <- r:
	default: // reports that matter are repeated
	}
}

// heed does what a report of the data plane calls for.
func (w *Worker) heed(now time.Time, r plane.Report) {
	if !w.twin.speaks() {
		return
	}
	switch r.Kind {
	case plane.ReportMoved:
		w.command(now, exchange.PeerMoved{ID: r.Child, Remote: r.Remote})
	case plane.ReportRekey:
		w.command(now, exchange.RekeyChild{ID: r.Child})
	case plane.ReportExpired:
		w.command(now, exchange.DeleteChild{ID: r.Child, Reason: "its volume or its sequence numbers are used up"})
	case plane.ReportUnknownSPI:
		if r.SPI == 0 {
			w.log.Info("ESP packets for more unknown SPIs than are logged", "count", r.Count)
			break
		}
		w.log.Info("ESP packets for an unknown SPI", "peer", r.Remote, "spi", r.SPI.String(), "count", r.Count)
	case plane.ReportClear:
		w.clearTo = r.Remote.Addr()
	case plane.ReportPathMTU:
		w.log.Debug("path MTU changed", "child", r.Child, "mtu", r.MTU)
	case plane.ReportReserve:
		w.extend(now, r.Child)
	}
	w.carry(now)
}

// command gives c to the engine. What no longer exists needs nothing done.
func (w *Worker) command(now time.Time, c exchange.Command) {
	if err := w.engine.Command(now, c, &w.out); err != nil {
		w.log.Debug("command has no effect", "command", fmt.Sprintf("%T", c), "reason", err)
	}
}

package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// Failover makes a worker one of a pair of twins.
type Failover struct {
	Unit       failover.Unit
	Activation control.Activation // what the first process begins with
	Hold       time.Duration      // of the pair
	// Replication is called when the worker tells how far the copy is, and with
	// nil when its process has ended. Quiesced is called when it has finished
	// what Quiesce asks for. Neither may wait for a call of this package.
	Replication func(*control.Replication)
	Quiesced    func()
}

// errNoTwin is the error of a call that is for twins only.
var errNoTwin = errors.New("spawn: the context has no twin")

// SetRole makes the worker, and every later process of it, serve or follow. It
// returns when no packet moves any more, or packets move again. Without a
// worker that is ready it returns at once: the next one begins with the role.
func (w *Worker) SetRole(ctx context.Context, a control.Activation) error {
	if w.cfg.Failover == nil {
		return errNoTwin
	}
	w.mu.Lock()
	w.activation, w.ordered = a, true
	w.mu.Unlock()
	select {
	case w.roleTurn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("spawn: waiting to change the role: %w", ctx.Err())
	}
	defer func() { <-w.roleTurn }()
	_, err := w.call(ctx, control.KindRole, a)
	if errors.Is(err, ErrNotReady) {
		return nil
	}
	return err
}

// Activation returns what the worker plays: what it was told, or says itself where it is of an
// earlier supervisor and was told nothing yet.
func (w *Worker) Activation() control.Activation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.activation
}

// Adopted tells whether the worker is of an earlier supervisor.
func (w *Worker) Adopted() bool { return w.adopted }

// catchUp gives a worker that has just become ready the role, if that has
// changed since its boot message was written. One of an earlier supervisor is told in any
// case, once there is a role: until then it serves as one that has no supervisor.
func (w *Worker) catchUp(ctx context.Context, p *process, booted control.Activation) error {
	if w.cfg.Failover == nil {
		return nil
	}
	select {
	case w.roleTurn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.roleTurn }()
	w.mu.Lock()
	a, ordered := w.activation, w.ordered
	w.mu.Unlock()
	if a == booted && (p.child != nil || !ordered) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	_, err := w.call(ctx, control.KindRole, a)
	return err
}

// Quiesce asks the worker to finish what it has begun; Failover.Quiesced is
// called when that is so.
func (w *Worker) Quiesce(ctx context.Context, q control.Quiesce) error {
	_, err := w.call(ctx, control.KindQuiesce, q)
	return err
}

// Link passes a connection that leads to the twin, with the key that both prove to
// have: failover.TenantKey of the context. The file stays the caller's. How it went
// on is told through Failover.Replication.
func (w *Worker) Link(ctx context.Context, conn *os.File, key secret.Value) error {
	_, err := w.call(ctx, control.KindLink, control.Link{Key: key.Reveal()}, conn)
	return err
}

// Kill ends the present process at once; another one takes its place.
func (w *Worker) Kill() error {
	w.mu.Lock()
	p := w.process
	w.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.kill(); err != nil {
		return fmt.Errorf("spawn: killing the worker: %w", err)
	}
	if !p.ended(exitTimeout) {
		return errors.New("spawn: the worker is stuck in the kernel")
	}
	return nil
}

// heedTwin answers what a worker says of itself as one of a pair.
func (w *Worker) heedTwin(req *pipe.Request) error {
	f := w.cfg.Failover
	if f == nil {
		return errNoTwin
	}
	if req.Kind == control.KindQuiesced {
		f.Quiesced()
		return nil
	}
	r, err := control.Parse[control.Replication](req.Body)
	if err != nil {
		return fmt.Errorf("spawn: reading %s: %w", req.Kind, err)
	}
	f.Replication(&r)
	return nil
}

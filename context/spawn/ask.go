package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/guard"
)

// Configure gives the worker, and every later one, a changed tenant.
func (w *Worker) Configure(ctx context.Context, t *spec.Tenant) error {
	w.mu.Lock()
	w.tenant = t
	w.mu.Unlock()
	_, err := w.call(ctx, control.KindConfigure, control.ConfigurationOf(t))
	if errors.Is(err, ErrNotReady) {
		return nil // the next worker boots with it
	}
	return err
}

// open lets requests through to a worker that has booted. What was configured since its
// boot message was written it is told first.
func (w *Worker) open(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	for {
		w.mu.Lock()
		t := w.tenant
		if t == p.tenant {
			w.conn = p.conn
		}
		w.mu.Unlock()
		if t == p.tenant {
			return nil
		}
		if _, err := p.conn.Call(ctx, control.KindConfigure, control.ConfigurationOf(t)); err != nil {
			return fmt.Errorf("spawn: configuring a worker that has just started: %w", err)
		}
		p.tenant = t
	}
}

// RequireSandbox changes Config.RequireSandbox for every later process.
func (w *Worker) RequireSandbox(required bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.caged = required
}

// IKESAs asks for the IKE SAs and their child SAs.
func (w *Worker) IKESAs(ctx context.Context) ([]control.IKESA, error) {
	return askList(ctx, w, control.KindIKESAs, control.ParseIKESAs)
}

// Sessions asks for the sessions.
func (w *Worker) Sessions(ctx context.Context) ([]control.Session, error) {
	return askList(ctx, w, control.KindSessions, control.ParseSessions)
}

// AAAServers asks for the servers that know users.
func (w *Worker) AAAServers(ctx context.Context) ([]control.AAAServer, error) {
	return askList(ctx, w, control.KindServers, control.ParseServers)
}

// Resources asks for the resources that the worker counts.
func (w *Worker) Resources(ctx context.Context) ([]control.Resource, error) {
	return ask(ctx, w, control.KindResources, nil, control.ParseResources)
}

// IPsecStats asks for what the data plane has carried and dropped.
func (w *Worker) IPsecStats(ctx context.Context) (control.IPsecStats, error) {
	return ask(ctx, w, control.KindIPsec, nil, control.Parse[control.IPsecStats])
}

// Replication asks how far the copy of the tenant is; nil: there is no twin.
func (w *Worker) Replication(ctx context.Context) (*control.Replication, error) {
	return ask(ctx, w, control.KindProgress, nil, control.Parse[*control.Replication])
}

// Logoff ends sessions.
func (w *Worker) Logoff(ctx context.Context, which control.Logoff) (control.LogoffDone, error) {
	return ask(ctx, w, control.KindLogoff, which, control.Parse[control.LogoffDone])
}

// Rekey replaces the SAs of the peers that which names.
func (w *Worker) Rekey(ctx context.Context, which control.Logoff) (control.Rekeyed, error) {
	return ask(ctx, w, control.KindRekey, which, control.Parse[control.Rekeyed])
}

// Keys asks for the keys of the SAs, for debugging.
func (w *Worker) Keys(ctx context.Context) (control.Keys, error) {
	return askList(ctx, w, control.KindKeys, control.ParseKeys)
}

// askList asks for a long answer. A worker gives one at a time: what a hostile
// one makes of it is not multiplied by those who ask.
func askList[T any](ctx context.Context, w *Worker, kind control.Kind, parse func([]byte) (T, error)) (T, error) {
	select {
	case w.lists <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("spawn: waiting to ask for %s: %w", kind, ctx.Err())
	}
	defer func() { <-w.lists }()
	return ask(ctx, w, kind, nil, parse)
}

func ask[T any](ctx context.Context, w *Worker, kind control.Kind, body any, parse func([]byte) (T, error)) (T, error) {
	msg, err := w.call(ctx, kind, body)
	if err != nil {
		var none T
		return none, err
	}
	out, err := parse(msg.Body)
	if err != nil {
		return out, fmt.Errorf("spawn: reading the answer to %s: %w", kind, err)
	}
	return out, nil
}

func (w *Worker) call(ctx context.Context, kind control.Kind, body any, files ...*os.File) (control.Message, error) {
	w.mu.Lock()
	conn := w.conn
	w.mu.Unlock()
	if conn == nil {
		return control.Message{}, ErrNotReady
	}
	msg, err := conn.Call(ctx, kind, body, files...)
	if errors.Is(err, pipe.ErrClosed) {
		return msg, ErrNotReady
	}
	return msg, err
}

// handle answers the worker. Nothing else than this may it ask for. A panic on
// the way ends the worker's question, and not the supervisor.
func (w *Worker) handle(_ context.Context, req *pipe.Request) (answer any, err error) {
	err = guard.Run(w.cfg.Log, "a message of the worker", func() error {
		answer, err = w.heed(req)
		return err
	})
	return answer, err
}

func (w *Worker) heed(req *pipe.Request) (any, error) {
	switch req.Kind {
	case control.KindAddress:
		a, err := control.Parse[control.Address](req.Body)
		if err != nil {
			return nil, fmt.Errorf("spawn: reading %s: %w", req.Kind, err)
		}
		return nil, w.arrange(1, func() error { return w.cfg.Network.Address(a) })
	case control.KindRoutes:
		r, err := control.ParseRoutes(req.Body)
		if err != nil {
			return nil, fmt.Errorf("spawn: reading %s: %w", req.Kind, err)
		}
		return nil, w.arrange(1+r.Changes(), func() error { return w.cfg.Network.Routes(r) })
	case control.KindClaim:
		c, err := control.Parse[control.Claim](req.Body)
		if err != nil {
			return nil, fmt.Errorf("spawn: reading %s: %w", req.Kind, err)
		}
		if w.cfg.Claim == nil {
			return control.Grant{}, nil
		}
		return w.cfg.Claim(c)
	case control.KindConnect:
		c, err := control.Parse[control.Connect](req.Body)
		if err != nil {
			return nil, fmt.Errorf("spawn: reading %s: %w", req.Kind, err)
		}
		return nil, w.arrange(1+control.MaxSockets, func() (err error) {
			req.Reply, err = w.cfg.Network.Connect(c)
			return err
		})
	case control.KindReplication, control.KindQuiesced:
		return nil, w.heedTwin(req)
	}
	return nil, errors.New("spawn: a worker may not ask for that")
}

package tenants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/system/fault"
)

// ready returns the worker of a context, for a question.
func (s *Tenants) ready(name string) (*tenant, *spawn.Worker, error) {
	s.mu.Lock()
	t := s.byName[name]
	s.mu.Unlock()
	if t == nil {
		return nil, nil, fault.NoContext(name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.worker == nil {
		if t.want.Suspended {
			return nil, nil, fault.NotReady(name, "it is suspended")
		}
		return nil, nil, fault.NotReady(name, cmp.Or(t.reason, "it is being built anew"))
	}
	return t, t.worker, nil
}

// answered translates the error of a worker's answer.
func answered(name string, w *spawn.Worker, err error) error {
	var refused *spawn.Refused
	switch {
	case err == nil:
		return nil
	case errors.Is(err, spawn.ErrNotReady):
		return fault.NotReady(name, unready(w.Status()))
	case errors.Is(err, context.DeadlineExceeded):
		return fault.NotReady(name, "its worker has not answered in time")
	case errors.As(err, &refused):
		return &fault.Error{Code: fault.CodeRefused, Reason: refused.Reason}
	}
	return err
}

// unready says why a worker could not be asked a moment before it was in this state.
func unready(s spawn.Status) string {
	if s.Ready {
		return "its worker has been replaced meanwhile"
	}
	return s.Reason
}

// IKESAs asks the worker of a context for its IKE SAs. NoContext when there is no such
// context, NotReady when its worker cannot be asked.
func (s *Tenants) IKESAs(ctx context.Context, name string) ([]control.IKESA, error) {
	return askOne(ctx, s, name, (*spawn.Worker).IKESAs)
}

// Sessions asks the worker of a context for its sessions, as IKESAs does.
func (s *Tenants) Sessions(ctx context.Context, name string) ([]control.Session, error) {
	return askOne(ctx, s, name, (*spawn.Worker).Sessions)
}

// AAAServers asks the worker of a context for the servers that know users, as IKESAs does.
func (s *Tenants) AAAServers(ctx context.Context, name string) ([]control.AAAServer, error) {
	return askOne(ctx, s, name, (*spawn.Worker).AAAServers)
}

func askOne[T any](ctx context.Context, s *Tenants, name string,
	ask func(*spawn.Worker, context.Context) (T, error)) (T, error) {
	_, worker, err := s.ready(name)
	if err != nil {
		var none T
		return none, err
	}
	out, err := ask(worker, ctx)
	return out, answered(name, worker, err)
}

// Resources asks the worker of a context for the resources that it counts, and adds
// those that the supervisor counts. With NotReady come the latter alone: they may say why
// a worker was killed.
func (s *Tenants) Resources(ctx context.Context, name string) ([]control.Resource, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return nil, err
	}
	rows, err := worker.Resources(ctx)
	rows = append(rows, t.resources()...)
	rows = append(rows, s.env.Disks.Resources(name)...)
	inOrder(rows)
	return rows, answered(name, worker, err)
}

// IPsecStats asks the worker of a context for what its data plane has carried and
// dropped, and adds what the kernel has dropped in front of it.
func (s *Tenants) IPsecStats(ctx context.Context, name string) (control.IPsecStats, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return control.IPsecStats{}, err
	}
	out, err := worker.IPsecStats(ctx)
	if gateway := t.view().gateway; gateway != nil {
		out.Counts[stats.DropClearIn].N, _ = t.clearDrops(gateway)
	}
	return out, answered(name, worker, err)
}

// Logoff ends sessions of a context with a proper DELETE.
func (s *Tenants) Logoff(ctx context.Context, name string, which control.Logoff) (control.LogoffDone, error) {
	_, worker, err := s.ready(name)
	if err != nil {
		return control.LogoffDone{}, err
	}
	done, err := worker.Logoff(ctx, which)
	return done, answered(name, worker, err)
}

// Rekey replaces the SAs of peers of a context.
func (s *Tenants) Rekey(ctx context.Context, name string, which control.Logoff) (control.Rekeyed, error) {
	_, worker, err := s.ready(name)
	if err != nil {
		return control.Rekeyed{}, err
	}
	done, err := worker.Rekey(ctx, which)
	return done, answered(name, worker, err)
}

// Keys returns the keys of a context's SAs, for Wireshark.
func (s *Tenants) Keys(ctx context.Context, name string) (control.Keys, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return control.Keys{}, err
	}
	t.log.Warn("keys of all SAs are handed out")
	keys, err := worker.Keys(ctx)
	return keys, answered(name, worker, err)
}

// Capture begins a capture of a context's packets, and returns it as it comes. It ends with
// ctx, or when it is closed.
func (s *Tenants) Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return nil, err
	}
	if err := t.mayCapture(which.Interface); err != nil {
		return nil, err
	}
	t.log.Warn("packets are captured", "interface", which.Interface)
	body, err := worker.Capture(ctx, which)
	if err != nil {
		return nil, answered(name, worker, err)
	}
	return body, nil
}

// mayCapture reports whether there is such an interface.
func (t *tenant) mayCapture(iface string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := []string{control.CaptureDecrypted}
	for _, i := range t.want.Spec.Interfaces {
		names = append(names, i.Name)
	}
	for _, n := range names {
		if n == iface {
			return nil
		}
	}
	return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("context %q has no interface %q", t.name, iface),
		Hint: "there are " + strings.Join(names, ", ")}
}

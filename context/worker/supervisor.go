package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

const (
	// requestsSize bounds the requests that wait for the supervisor.
	requestsSize = 256
	// claimsSize bounds its claims: two resources have one each, twice while a role
	// changes.
	claimsSize = 4
)

// supervisor is the way to the supervisor: what the loop asks of it waits in
// queues, and goroutines of their own ask and wait for the answers, which come
// back into the loop.
type supervisor struct {
	log      *slog.Logger
	ask      func(ctx context.Context, kind control.Kind, body any) error
	ration   func(context.Context, control.Claim) (control.Grant, error)
	requests chan request
	claims   chan control.Claim
	inbox    *inbox // of the loop
	granted  func(now time.Time, c control.Claim, g control.Grant)
}

func newSupervisor(
	cfg *Config, log *slog.Logger, b *inbox, granted func(time.Time, control.Claim, control.Grant),
) *supervisor {
	s := &supervisor{
		log: log, ask: cfg.Ask, ration: cfg.Claim, inbox: b, granted: granted,
		requests: make(chan request, requestsSize), claims: make(chan control.Claim, claimsSize),
	}
	if s.ration == nil {
		s.ration = enough
	}
	return s
}

// enough answers claims where the worker shares with nobody.
func enough(_ context.Context, c control.Claim) (control.Grant, error) {
	return control.Grant{Most: c.Held + c.More}, nil
}

// request is one request to the supervisor.
type request struct {
	kind control.Kind
	body any
	then func(now time.Time, err error) // called in the loop; nil: an error is logged
}

// request queues a request, and reports whether there was room.
func (s *supervisor) request(kind control.Kind, body any, then func(time.Time, error)) bool {
	select {
	case s.requests <- request{kind, body, then}:
		return true
	default:
		s.log.Error("too many requests wait for the supervisor", "kind", string(kind))
		return false
	}
}

// claim queues a claim, and reports whether there was room.
func (s *supervisor) claim(c control.Claim) bool {
	select {
	case s.claims <- c:
		return true
	default:
		return false
	}
}

// askAll makes the requests, in order, until ctx ends.
func (s *supervisor) askAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.requests:
			err := s.ask(ctx, r.kind, r.body)
			switch {
			case r.then != nil:
				s.answered(ctx, func(now time.Time) { r.then(now, err) })
			case err != nil && ctx.Err() == nil:
				s.log.Error("supervisor refuses a request", "kind", string(r.kind), "reason", err)
			}
		}
	}
}

// claimAll makes the claims, one after the other, until ctx ends.
func (s *supervisor) claimAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.claims:
			grant, err := s.ration(ctx, c)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.log.Error("supervisor refuses a request", "kind", string(control.KindClaim), "reason", err)
			}
			s.answered(ctx, func(now time.Time) { s.granted(now, c, grant) })
		}
	}
}

// answered has f called in the loop, unless that has ended.
func (s *supervisor) answered(ctx context.Context, f func(now time.Time)) {
	_ = s.inbox.call(ctx, func(now time.Time) error {
		f(now)
		return nil
	})
}

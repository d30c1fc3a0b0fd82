package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system/fault"
)

// question is one that is asked of contexts, and answered with rows.
type question[T any] struct {
	ask func(ctx context.Context, name string) ([]T, error)
	// normal puts the rows of one context into the form that the API promises. Its
	// worker parses hostile packets and may itself have been taken over: it cannot
	// speak for another context, so that normal names the context in every row.
	normal func(rows []T, name string)
	// partial: rows that come with an error count, too.
	partial bool
}

// ask asks the context that r names, or all of them, each within its own time-out and
// at once: a worker that hangs costs the others nothing. With one context its error is
// the answer's; with all, it is in the list. Rows and errors are in the order of
// the contexts' names.
func ask[T any](s *Server, r *http.Request, q question[T]) ([]T, []fault.ContextError, error) {
	rows := []T{}
	if name := r.URL.Query().Get(contextParam); name != "" {
		some, err := askOne(r.Context(), s, name, q)
		if err != nil {
			return rows, nil, err
		}
		return append(rows, some...), nil, nil
	}
	// they have nobody to ask
	contexts := slices.DeleteFunc(s.sorted(), func(c Tenant) bool { return c.State == StateSuspended })
	answers, errs := make([][]T, len(contexts)), make([]error, len(contexts))
	var wg sync.WaitGroup
	for i := range contexts {
		wg.Go(func() {
			errs[i] = guard.Run(s.log, "a question to a context", func() (err error) {
				answers[i], err = askOne(r.Context(), s, contexts[i].Name, q)
				return err
			})
		})
	}
	wg.Wait()
	var failed []fault.ContextError
	for i, c := range contexts {
		var e *fault.Error
		switch {
		case errs[i] == nil:
		case errors.As(errs[i], &e) && e.Code == fault.CodeNoContext: // removed meanwhile
			continue
		default:
			e = asError(errs[i])
			failed = append(failed, fault.ContextError{Context: c.Name, Error: e.Reason, Hint: e.Hint})
		}
		rows = append(rows, answers[i]...)
	}
	return rows, failed, nil
}

// askOne asks one context.
func askOne[T any](ctx context.Context, s *Server, name string, q question[T]) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WorkerTimeout)
	defer cancel()
	rows, err := q.ask(ctx, name)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fault.NotReady(name, "no answer within "+s.cfg.WorkerTimeout.String())
	}
	if err != nil && !q.partial {
		return nil, err
	}
	rows = slices.Clone(rows)
	q.normal(rows, name)
	return rows, err
}

// sorted returns the contexts in the order of their names.
func (s *Server) sorted() []Tenant {
	list := slices.Clone(s.cfg.Backend.Contexts())
	slices.SortFunc(list, func(a, b Tenant) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// normalTenant replaces missing lists by empty ones: JSON has no other way to
// say "none" that scripts can loop over.
func normalTenant(c Tenant) Tenant {
	c.Reason = plain(c.Reason)
	c.Interfaces = slices.Clone(orEmpty(c.Interfaces))
	for i := range c.Interfaces {
		c.Interfaces[i].Addresses = orEmpty(c.Interfaces[i].Addresses)
	}
	return c
}

// normalIKESAs does the same for IKE SAs, names the context in every row, and puts the
// rows into an order that two calls agree on.
func normalIKESAs(rows []control.IKESA, name string) {
	for i := range rows {
		ike := &rows[i]
		ike.Context, ike.Assigned, ike.ChildSAs = name, orEmpty(ike.Assigned), slices.Clone(orEmpty(ike.ChildSAs))
		for j := range ike.ChildSAs {
			child := &ike.ChildSAs[j]
			child.Context = name
			child.LocalTS, child.RemoteTS = orEmpty(child.LocalTS), orEmpty(child.RemoteTS)
		}
	}
	slices.SortStableFunc(rows, func(a, b control.IKESA) int {
		return cmp.Or(a.Established.Compare(b.Established), strings.Compare(a.SPIi, b.SPIi))
	})
}

// normalSessions does it for sessions.
func normalSessions(rows []control.Session, name string) {
	for i := range rows {
		rows[i].Context, rows[i].Assigned = name, orEmpty(rows[i].Assigned)
	}
	slices.SortStableFunc(rows, func(a, b control.Session) int {
		return cmp.Or(a.LoginTime.Compare(b.LoginTime), slices.CompareFunc(a.Assigned, b.Assigned, netip.Addr.Compare))
	})
}

// normalResources does it for resources, whose order is the backend's.
func normalResources(rows []control.Resource, name string) {
	for i := range rows {
		rows[i].Context = name
	}
}

// normalStats does it for the counters of the data plane.
func normalStats(rows []control.IPsecStats, name string) {
	for i := range rows {
		rows[i].Context, rows[i].Offloads = name, orEmpty(rows[i].Offloads)
	}
}

// orEmpty returns list, or an empty one instead of nil.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

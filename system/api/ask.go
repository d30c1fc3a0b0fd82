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

// ask gets the facts of the context that r names, or of all of them, each
// within its own time-out and at once: a worker that hangs costs the others
// nothing. With one context its error is the answer's; with all, it is in the
// list. Facts and errors are in the order of the contexts' names.
func (s *Server) ask(r *http.Request) ([]control.Facts, []fault.ContextError, error) {
	if name := r.URL.Query().Get(contextParam); name != "" {
		facts, err := s.askOne(r.Context(), name)
		if err != nil {
			return nil, nil, err
		}
		return []control.Facts{facts}, nil, nil
	}
	contexts := slices.DeleteFunc(s.sorted(), func(c Tenant) bool { return c.State == StateSuspended }) // they have nobody to ask
	facts := make([]control.Facts, len(contexts))
	errs := make([]error, len(contexts))
	var wg sync.WaitGroup
	for i := range contexts {
		wg.Go(func() {
			errs[i] = guard.Run(s.log, "a question to a context", func() (err error) {
				facts[i], err = s.askOne(r.Context(), contexts[i].Name)
				return err
			})
		})
	}
	wg.Wait()
	var answered []control.Facts
	var failed []fault.ContextError
	for i, c := range contexts {
		var e *fault.Error
		switch {
		case errs[i] == nil:
			answered = append(answered, facts[i])
		case errors.As(errs[i], &e) && e.Code == fault.CodeNoContext: // removed meanwhile
		default:
			e = asError(errs[i])
			failed = append(failed, fault.ContextError{Context: c.Name, Error: e.Reason, Hint: e.Hint})
			answered = append(answered, facts[i]) // only what the supervisor counts
		}
	}
	return answered, failed, nil
}

// askOne gets the facts of one context. Its worker parses hostile packets and
// may itself have been taken over: it cannot speak for another context.
func (s *Server) askOne(ctx context.Context, name string) (control.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WorkerTimeout)
	defer cancel()
	facts, err := s.cfg.Backend.Facts(ctx, name)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fault.NotReady(name, "no answer within "+s.cfg.WorkerTimeout.String())
	}
	if err != nil {
		facts = control.Facts{Resources: facts.Resources}
	}
	return normalFacts(facts, name), err
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

// normalFacts does the same for facts, names the context in every row, and
// puts the rows into an order that two calls agree on.
func normalFacts(f control.Facts, name string) control.Facts {
	f.IKESAs, f.Sessions, f.Resources = slices.Clone(f.IKESAs), slices.Clone(f.Sessions), slices.Clone(f.Resources)
	for i := range f.IKESAs {
		ike := &f.IKESAs[i]
		ike.Context, ike.Assigned, ike.ChildSAs = name, orEmpty(ike.Assigned), slices.Clone(orEmpty(ike.ChildSAs))
		for j := range ike.ChildSAs {
			child := &ike.ChildSAs[j]
			child.Context = name
			child.LocalTS, child.RemoteTS = orEmpty(child.LocalTS), orEmpty(child.RemoteTS)
		}
	}
	for i := range f.Sessions {
		f.Sessions[i].Context, f.Sessions[i].Assigned = name, orEmpty(f.Sessions[i].Assigned)
	}
	f.IPsec.Context, f.IPsec.Offloads = name, orEmpty(f.IPsec.Offloads)
	for i := range f.Resources {
		f.Resources[i].Context = name
	}
	slices.SortStableFunc(f.IKESAs, func(a, b control.IKESA) int {
		return cmp.Or(a.Established.Compare(b.Established), strings.Compare(a.SPIi, b.SPIi))
	})
	slices.SortStableFunc(f.Sessions, func(a, b control.Session) int {
		return cmp.Or(a.LoginTime.Compare(b.LoginTime), slices.CompareFunc(a.Assigned, b.Assigned, netip.Addr.Compare))
	})
	return f
}

// orEmpty returns list, or an empty one instead of nil.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

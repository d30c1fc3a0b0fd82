package api

import (
	"context"
	"encoding/json"
	"net/http"

	_ "embed"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// openAPIDocument is the description of the API, generated from the table of routes by
// `go test ./system/api -run OpenAPI -update`.
//
//go:embed openapi.json
var openAPIDocument []byte

func (s *Server) openAPI(*http.Request) (any, error) { return json.RawMessage(openAPIDocument), nil }

func (s *Server) status(*http.Request) (any, error) {
	st := s.cfg.Backend.Status()
	st.Waiting, st.Problems = plainErrors(st.Waiting), plainErrors(st.Problems)
	return st, nil
}

func (s *Server) contexts(r *http.Request) (any, error) {
	name := r.URL.Query().Get(contextParam)
	out := Contexts{Contexts: []Tenant{}}
	for _, c := range s.sorted() {
		if name == "" || c.Name == name {
			out.Contexts = append(out.Contexts, normalTenant(c))
		}
	}
	if name != "" && len(out.Contexts) == 0 {
		return nil, fault.NoContext(name)
	}
	return out, nil
}

func (s *Server) ikeSAs(r *http.Request) (any, error) {
	rows, errs, err := ask(s, r, question[control.IKESA]{ask: s.cfg.Backend.IKESAs, normal: normalIKESAs})
	return IKESAs{IKESAs: rows, Errors: errs}, err
}

func (s *Server) childSAs(r *http.Request) (any, error) {
	all, errs, err := ask(s, r, question[control.IKESA]{ask: s.cfg.Backend.IKESAs, normal: normalIKESAs})
	out := ChildSAs{ChildSAs: []control.ChildSA{}, Errors: errs}
	for _, i := range all {
		out.ChildSAs = append(out.ChildSAs, i.ChildSAs...)
	}
	return out, err
}

func (s *Server) ipsecStats(r *http.Request) (any, error) {
	rows, errs, err := ask(s, r, question[control.IPsecStats]{normal: normalStats,
		ask: func(ctx context.Context, name string) ([]control.IPsecStats, error) {
			row, err := s.cfg.Backend.IPsecStats(ctx, name)
			return []control.IPsecStats{row}, err
		}})
	return IPsecStatistics{IPsecStats: rows, Errors: errs}, err
}

func (s *Server) sessions(r *http.Request) (any, error) {
	rows, errs, err := ask(s, r, question[control.Session]{ask: s.cfg.Backend.Sessions, normal: normalSessions})
	return Sessions{Sessions: rows, Errors: errs}, err
}

func (s *Server) resources(r *http.Request) (any, error) {
	rows, errs, err := ask(s, r, question[control.Resource]{ask: s.cfg.Backend.Resources, normal: normalResources,
		partial: true})
	if s.cfg.Shared != nil && r.URL.Query().Get(contextParam) == "" {
		rows = append(rows, s.cfg.Shared()...)
	}
	return Resources{Resources: rows, Errors: errs}, err
}

func (s *Server) logoff(r *http.Request) (any, error) {
	which, err := selection(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.Logoff(r.Context(), r.PathValue(contextParam), which)
}

// selection reads whose SAs a request is about.
func selection(r *http.Request) (which control.Logoff, err error) {
	if err := decode(r, &which); err != nil {
		return which, err
	}
	given := 0
	for _, is := range []bool{which.User != "", which.Address.IsValid(), which.All} {
		if is {
			given++
		}
	}
	if given != 1 {
		return which, &fault.Error{Code: fault.CodeInvalid,
			Reason: "logoff and rekey take exactly one of user, address and all"}
	}
	return which, nil
}

func (s *Server) keys(r *http.Request) (any, error) {
	k, err := s.cfg.Backend.Keys(r.Context(), r.PathValue(contextParam))
	k.IKE, k.ESP = orEmpty(k.IKE), orEmpty(k.ESP)
	return k, err
}

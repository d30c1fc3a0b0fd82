package api

import (
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
	all, errs, err := s.ask(r)
	out := IKESAs{IKESAs: []control.IKESA{}, Errors: errs}
	for _, f := range all {
		out.IKESAs = append(out.IKESAs, f.IKESAs...)
	}
	return out, err
}

func (s *Server) childSAs(r *http.Request) (any, error) {
	all, errs, err := s.ask(r)
	out := ChildSAs{ChildSAs: []control.ChildSA{}, Errors: errs}
	for _, f := range all {
		for _, i := range f.IKESAs {
			out.ChildSAs = append(out.ChildSAs, i.ChildSAs...)
		}
	}
	return out, err
}

func (s *Server) ipsecStats(r *http.Request) (any, error) {
	all, errs, err := s.ask(r)
	out := IPsecStatistics{IPsecStats: []control.IPsecStats{}, Errors: errs}
	for _, f := range all {
		out.IPsecStats = append(out.IPsecStats, f.IPsec)
	}
	return out, err
}

func (s *Server) sessions(r *http.Request) (any, error) {
	all, errs, err := s.ask(r)
	out := Sessions{Sessions: []control.Session{}, Errors: errs}
	for _, f := range all {
		out.Sessions = append(out.Sessions, f.Sessions...)
	}
	return out, err
}

func (s *Server) resources(r *http.Request) (any, error) {
	all, errs, err := s.ask(r)
	out := Resources{Resources: []control.Resource{}, Errors: errs}
	for _, f := range all {
		out.Resources = append(out.Resources, f.Resources...)
	}
	if s.cfg.Shared != nil && r.URL.Query().Get(contextParam) == "" {
		out.Resources = append(out.Resources, s.cfg.Shared()...)
	}
	return out, err
}

func (s *Server) logoff(r *http.Request) (any, error) {
	var which control.Logoff
	if err := decode(r, &which); err != nil {
		return nil, err
	}
	given := 0
	for _, is := range []bool{which.User != "", which.Address.IsValid(), which.All} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, &fault.Error{Code: fault.CodeInvalid, Reason: "logoff takes exactly one of user, address and all"}
	}
	return s.cfg.Backend.Logoff(r.Context(), r.PathValue(contextParam), which)
}

func (s *Server) keys(r *http.Request) (any, error) {
	k, err := s.cfg.Backend.Keys(r.Context(), r.PathValue(contextParam))
	k.IKE, k.ESP = orEmpty(k.IKE), orEmpty(k.ESP)
	return k, err
}

package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// AAAServers answers `show aaa-server`.
type AAAServers struct {
	Servers []control.AAAServer  `json:"aaa_servers"`
	Errors  []fault.ContextError `json:"errors,omitempty"`
}

func (s *Server) aaaServers(r *http.Request) (any, error) {
	rows, errs, err := ask(s, r, question[control.AAAServer]{ask: s.cfg.Backend.AAAServers, normal: normalServers})
	return AAAServers{Servers: rows, Errors: errs}, err
}

// normalServers puts servers into the order of their groups; those of one are asked in the
// order in which they come.
func normalServers(rows []control.AAAServer, name string) {
	for i := range rows {
		rows[i].Context = name
	}
	slices.SortStableFunc(rows, func(a, b control.AAAServer) int { return cmp.Compare(a.ServerGroup, b.ServerGroup) })
}

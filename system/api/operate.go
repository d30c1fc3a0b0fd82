package api

import (
	"context"
	"net/http"

	"github.com/warrenvpn/warren/context/control"
)

// Operations are what an operator does to programs that run.
type Operations interface {
	// Restart replaces the worker of a context by a new process of the program that is
	// installed now, and waits until that is ready. SAs stay. NoContext and NotReady as
	// elsewhere.
	Restart(ctx context.Context, name string) (Restarted, error)

	// Rekey begins to replace the IKE SAs, with their child SAs, of the peers that which
	// names. It does not wait for the peers.
	Rekey(ctx context.Context, name string, which control.Logoff) (control.Rekeyed, error)

	// Shutdown begins the end of warrend with all contexts: workers say goodbye to
	// their peers, devices are given back, also where a keeper of descriptors would
	// have them go on. It does not wait for the end.
	Shutdown()
}

// Restarted is a worker that has taken the place of another one.
type Restarted struct {
	Context  string  `json:"context"`
	PID      int     `json:"pid"`
	Build    string  `json:"build"`   // of its program
	Before   string  `json:"before"`  // that of the one before
	Duration float64 `json:"seconds"` // from the request until it was ready
}

// Stopping answers a shutdown.
type Stopping struct {
	PID int `json:"pid"` // of the warrend that ends
}

func (s *Server) restart(r *http.Request) (any, error) {
	return s.cfg.Backend.Restart(r.Context(), r.PathValue(contextParam))
}

func (s *Server) rekey(r *http.Request) (any, error) {
	which, err := selection(r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Backend.Rekey(r.Context(), r.PathValue(contextParam), which)
}

func (s *Server) shutdown(*http.Request) (any, error) {
	out := Stopping{PID: s.cfg.Backend.Status().PID}
	s.cfg.Backend.Shutdown()
	return out, nil
}

package api

import (
	"net/http"
	"strings"
)

// contextsOf returns the contexts that the URL of a request is about: of the
// path, of the parameter "context", or of the name of a file. A request about all
// of them is the system's.
func contextsOf(r *http.Request) []string {
	q := r.URL.Query()
	for _, name := range []string{r.PathValue(contextParam), q.Get(contextParam), ownerOf(q.Get(nameParam))} {
		if name != "" {
			return []string{name}
		}
	}
	return nil
}

// ownerOf returns the context in the name of a file, "blue:disk0:/path"; "" for a
// name of the system.
func ownerOf(name string) string {
	owner, rest, ok := strings.Cut(name, ":")
	if !ok || !strings.Contains(rest, ":") {
		return ""
	}
	return owner
}

// enter lets a request in where each context allows it one more. leave must be
// called when it was answered.
func (s *Server) enter(contexts ...string) (leave func(), err error) {
	var entered []func()
	leave = func() {
		for _, f := range entered {
			f()
		}
	}
	if s.cfg.Enter == nil {
		return leave, nil
	}
	for _, name := range contexts {
		f, err := s.cfg.Enter(name)
		if err != nil {
			leave()
			return nil, err
		}
		entered = append(entered, f)
	}
	return leave, nil
}

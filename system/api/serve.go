package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system/fault"
)

// serve answers one request of a route: who asks, what, then the handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt *route) {
	s.open.Add(1)
	defer s.open.Done()
	who, ok := r.Context().Value(callerKey{}).(caller)
	role := who.role()
	if role == RolePeer && r.Header.Get(onBehalf) != "" {
		role = RoleRead
	}
	if !ok || !role.includes(rt.role) {
		s.fail(w, r, &fault.Error{
			Code:   fault.CodeDenied,
			Reason: fmt.Sprintf("%s %s needs the role %q", rt.verb, rt.path, rt.role),
			Hint:   "run as root",
		})
		return
	}
	if err := checkParams(r, rt); err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), rt.timeout)
	defer cancel()
	s.setDeadlines(w, time.Now().Add(rt.timeout+quickTimeout))
	// The handler gets a copy: net/http looks at the body of its own whether
	// somebody waits for leave to send it.
	asked := r.WithContext(ctx)
	if _, ok := rt.body.(content); ok {
		asked.Body = &upload{ReadCloser: r.Body, control: http.NewResponseController(w)}
	} else {
		asked.Body = http.MaxBytesReader(w, r.Body, max(rt.maxBody, maxBody))
	}
	leave, err := s.enter(contextsOf(r)...)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer leave()
	answer, err := s.answer(w, asked, rt)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	level := s.log.Debug
	if rt.role == RoleAdmin {
		level = s.log.Info // who did what
	}
	attrs := []any{"verb", rt.verb, "path", r.URL.Path, "uid", who.uid, "pid", who.pid}
	if slices.Contains(rt.params, nameParam) {
		attrs = append(attrs, "file", r.URL.Query().Get(nameParam))
	}
	level("api request", attrs...)
	if rt.stream == nil {
		s.write(w, http.StatusOK, answer)
	}
}

// answer calls the route's handler; a stream writes its answer itself.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, rt *route) (answer any, err error) {
	err = guard.Run(s.log, "an api request", func() error {
		if rt.stream != nil {
			return rt.stream(s, &transfer{w: w, control: http.NewResponseController(w)}, r)
		}
		answer, err = rt.handle(s, r)
		return err
	})
	return answer, err
}

// setDeadlines bounds the reading of the body and the writing of the answer; the
// server cannot, because its one ReadTimeout would cut off a long reload.
func (s *Server) setDeadlines(w http.ResponseWriter, t time.Time) {
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t)); err != nil {
		s.log.Debug("api deadlines are not set", "reason", err)
	}
}

// checkParams refuses query parameters that the route does not know.
func checkParams(r *http.Request, rt *route) error {
	if slices.Contains(rt.params, anyParam) {
		return nil
	}
	for name, values := range r.URL.Query() {
		if !slices.Contains(rt.params, name) {
			hint := "it takes none"
			if len(rt.params) > 0 {
				hint = "it takes " + strings.Join(rt.params, ", ")
			}
			return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("%s does not know the parameter %q",
				rt.path, name), Hint: hint}
		}
		if len(values) > 1 {
			return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("parameter %q is given %d times", name,
				len(values))}
		}
	}
	return nil
}

// decode reads a body of exactly one JSON value. Of an operator it has no unknown
// fields: a mistyped one would be taken for one that is not given. What the other node
// of a pair adds, which may be newer, is passed over.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	if who, _ := r.Context().Value(callerKey{}).(caller); !who.peer {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			err = fmt.Errorf("%s is %s, and not a %s", wrong.Field, kindOf(wrong.Type), wrong.Value)
		}
		return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("body: %v", err),
			Hint: "GET /v1/openapi.json describes it"}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &fault.Error{Code: fault.CodeInvalid, Reason: "body: more than one JSON value"}
	}
	return nil
}

// kindOf says in JSON's words what a Go type holds.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "a number without a fraction"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	}
	return "an object"
}

// fail answers with an error. Internal ones are logged: they are ours.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	if e.Code == fault.CodeInternal {
		s.log.Error("api request", "verb", r.Method, "path", r.URL.Path, "reason", err)
	}
	s.write(w, statuses[e.Code], e)
}

// asError finds the *fault.Error in err, or makes an internal one.
func asError(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) {
		if _, ok := statuses[e.Code]; ok {
			out := *e
			out.Reason = plain(e.Reason)
			return &out
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &fault.Error{Code: fault.CodeNotReady, Reason: "no answer in time", Hint: "warrend's log says more"}
	}
	return &fault.Error{Code: fault.CodeInternal, Reason: plain(err.Error()), Hint: "warrend's log says more"}
}

func (s *Server) write(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		s.log.Error("api answer cannot be encoded", "reason", err)
		status, text = http.StatusInternalServerError,
			[]byte(`{"code":"internal","error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // a caller that has gone is no concern of ours
}

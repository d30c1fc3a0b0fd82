package main

import (
	"fmt"
	"io"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/fault"
)

// showAAAServer is `warren show aaa-server`.
var showAAAServer = query[api.AAAServers]{
	use:     "aaa-server",
	short:   "Show the servers that know users: whether they answer, and what they have answered",
	example: "  warren show aaa-server\n  warren show aaa-server --context blue",
	context: "only of this `context`",
	ask:     (*client.Client).AAAServers,
	text: func(e *env, w io.Writer, a *api.AAAServers) {
		if len(a.Servers) == 0 {
			fmt.Fprintln(w, "No tunnel group asks a server")
			return
		}
		serverTable.write(e, w, a.Servers)
	},
	missing: func(a *api.AAAServers) ([]fault.ContextError, int) { return a.Errors, len(a.Servers) },
}

var serverTable = table[control.AAAServer]{columns: []column[control.AAAServer]{
	{"CONTEXT", func(_ *env, s *control.AAAServer) string { return s.Context }},
	{"GROUP", func(_ *env, s *control.AAAServer) string { return s.ServerGroup }},
	{"SERVER", func(_ *env, s *control.AAAServer) string { return s.Server }},
	{"STATE", func(e *env, s *control.AAAServer) string { return e.serverState(s) }},
	{"REQUESTS", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Requests) }},
	{"ACCEPTS", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Accepts) }},
	{"REJECTS", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Rejects) }},
	{"CHALLENGES", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Challenges) }},
	{"REPEATS", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Retransmissions) }},
	{"TIMEOUTS", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Timeouts) }},
	{"BAD", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Forged + s.Unsigned + s.Malformed) }},
	{"PENDING", func(_ *env, s *control.AAAServer) string { return fmt.Sprint(s.Outstanding + s.Waiting) }},
}}

// serverState prints the state of a server, and of a dead one how long it is left alone.
func (e *env) serverState(s *control.AAAServer) string {
	left := s.RetryAt.Sub(e.now()).Round(time.Second)
	switch {
	case s.State != control.ServerDead:
		return s.State
	case left <= 0:
		return "dead, asked next"
	}
	return fmt.Sprintf("dead, asked in %s", left)
}

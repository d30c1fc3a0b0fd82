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

// showSessions is `warren show vpn-sessiondb`.
var showSessions = query[api.Sessions]{
	use:     "vpn-sessiondb",
	short:   "Show sessions: user, group, addresses, bytes, duration",
	example: "  warren show vpn-sessiondb\n  warren show vpn-sessiondb --detail --context blue",
	context: "only of this `context`",
	detail:  "one paragraph for each session",
	ask:     (*client.Client).Sessions,
	text: func(e *env, w io.Writer, a *api.Sessions) {
		switch {
		case len(a.Sessions) == 0:
			fmt.Fprintln(w, "There are no sessions")
			return
		case e.detail:
			sessionsInDetail(w, a.Sessions)
		default:
			sessionTable.write(e, w, a.Sessions)
		}
		sessionsInAll(w, a.Sessions)
	},
	missing: func(a *api.Sessions) ([]fault.ContextError, int) { return a.Errors, len(a.Sessions) },
}

var sessionTable = table[control.Session]{columns: []column[control.Session]{
	{"Context", func(_ *env, s *control.Session) string { return contextOf(s) }},
	{"Username", func(_ *env, s *control.Session) string { return s.User }},
	{"Tunnel Group", func(_ *env, s *control.Session) string { return s.TunnelGroup }},
	{"Assigned IP", func(_ *env, s *control.Session) string { return addresses(s.Assigned) }},
	{"Public IP", func(_ *env, s *control.Session) string { return s.Public }},
	{"Bytes Tx", func(_ *env, s *control.Session) string { return fmt.Sprint(s.BytesOut) }},
	{"Bytes Rx", func(_ *env, s *control.Session) string { return fmt.Sprint(s.BytesIn) }},
	{"Duration", func(_ *env, s *control.Session) string { return duration(s) }},
}}

func sessionsInDetail(w io.Writer, list []control.Session) {
	for i := range list {
		s := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		pair := func(a, av, b, bv string) { fmt.Fprintf(w, "%-12s : %-26s %-12s : %s\n", a, plain(av), b, plain(bv)) }
		pair("Username", s.User, "Context", contextOf(s))
		pair("Assigned IP", addresses(s.Assigned), "Public IP", s.Public)
		pair("Bytes Tx", fmt.Sprint(s.BytesOut), "Bytes Rx", fmt.Sprint(s.BytesIn))
		pair("Group Policy", s.GroupPolicy, "Tunnel Group", s.TunnelGroup)
		pair("Login Time", moment(s.LoginTime), "Duration", duration(s))
		fmt.Fprintf(w, "%-12s : %s\n", "Protocol", plain(s.Protocol))
	}
}

// contextOf names the context of a session, and says where it is standby here.
func contextOf(s *control.Session) string {
	if s.Standby {
		return s.Context + " (standby)"
	}
	return s.Context
}

// sessionsInAll counts sessions; those that the other unit serves apart, so that
// they are not counted twice.
func sessionsInAll(w io.Writer, list []control.Session) {
	copies := 0
	for i := range list {
		if list[i].Standby {
			copies++
		}
	}
	fmt.Fprintf(w, "\nActive sessions: %d\n", len(list)-copies)
	if copies > 0 {
		fmt.Fprintf(w, "Copies of sessions of the other unit: %d\n", copies)
	}
}

// duration prints how long a session lasts, as the worker counted.
func duration(s *control.Session) string {
	return span(time.Duration(s.Duration * float64(time.Second)))
}

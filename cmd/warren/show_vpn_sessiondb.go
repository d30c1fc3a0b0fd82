package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
)

// newShowSessions is `warren show vpn-sessiondb`.
func newShowSessions(e *env) *cobra.Command {
	var name string
	var detail bool
	c := &cobra.Command{
		Use:     "vpn-sessiondb",
		Short:   "Show sessions: user, group, addresses, bytes, duration",
		Example: "  warren show vpn-sessiondb\n  warren show vpn-sessiondb --detail --context blue",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			list, err := e.client().Sessions(ctx, name)
			if err != nil {
				return err
			}
			err = e.print(list, func(w io.Writer) {
				switch {
				case len(list.Sessions) == 0:
					fmt.Fprintln(w, "There are no sessions")
				case detail:
					sessionsInDetail(w, list.Sessions)
				default:
					sessionsInShort(w, list.Sessions)
				}
			})
			if err != nil {
				return err
			}
			return e.silent(list.Errors, len(list.Sessions))
		}),
	}
	c.Flags().BoolVar(&detail, "detail", false, "one paragraph for each session")
	e.contextFlag(c, &name, "only of this `context`")
	return c
}

func sessionsInShort(w io.Writer, list []control.Session) {
	t := newTable("Context", "Username", "Tunnel Group", "Assigned IP", "Public IP", "Bytes Tx", "Bytes Rx", "Duration")
	for i := range list {
		s := &list[i]
		t.row(contextOf(s), s.User, s.TunnelGroup, addresses(s.Assigned), s.Public,
			fmt.Sprint(s.BytesOut), fmt.Sprint(s.BytesIn), duration(s))
	}
	t.write(w)
	sessionsInAll(w, list)
}

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
	sessionsInAll(w, list)
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

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
		t.row(s.Context, s.User, s.TunnelGroup, addresses(s.Assigned), s.Public,
			fmt.Sprint(s.BytesOut), fmt.Sprint(s.BytesIn), duration(s))
	}
	t.write(w)
	fmt.Fprintf(w, "\nActive sessions: %d\n", len(list))
}

func sessionsInDetail(w io.Writer, list []control.Session) {
	for i := range list {
		s := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		pair := func(a, av, b, bv string) { fmt.Fprintf(w, "%-12s : %-26s %-12s : %s\n", a, plain(av), b, plain(bv)) }
		pair("Username", s.User, "Context", s.Context)
		pair("Assigned IP", addresses(s.Assigned), "Public IP", s.Public)
		pair("Bytes Tx", fmt.Sprint(s.BytesOut), "Bytes Rx", fmt.Sprint(s.BytesIn))
		pair("Group Policy", s.GroupPolicy, "Tunnel Group", s.TunnelGroup)
		pair("Login Time", moment(s.LoginTime), "Duration", duration(s))
		fmt.Fprintf(w, "%-12s : %s\n", "Protocol", plain(s.Protocol))
	}
	fmt.Fprintf(w, "\nActive sessions: %d\n", len(list))
}

// duration prints how long a session lasts, as the worker counted.
func duration(s *control.Session) string {
	return span(time.Duration(s.Duration * float64(time.Second)))
}

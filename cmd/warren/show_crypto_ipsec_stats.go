package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/esp/stats"
)

// newShowIPsecStats is `warren show crypto ipsec stats`.
func newShowIPsecStats(e *env) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:     "stats",
		Short:   "Show what was carried and dropped, by cause",
		Example: "  warren show crypto ipsec stats\n  warren show crypto ipsec stats --context blue --json",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			list, err := e.client().IPsecStats(ctx, name)
			if err != nil {
				return err
			}
			if err := e.print(list, func(w io.Writer) { e.ipsecStats(w, list.IPsecStats) }); err != nil {
				return err
			}
			return e.silent(list.Errors, len(list.IPsecStats))
		}),
	}
	e.contextFlag(c, &name, "only of this `context`")
	return c
}

func (e *env) ipsecStats(w io.Writer, list []control.IPsecStats) {
	for i := range list {
		s := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "context: %s, counted for %s\n", plain(s.Context), e.since(s.Since))
		fmt.Fprintf(w, "    offloads: %s\n", plain(orNone(strings.Join(s.Offloads, ", "))))
		for _, part := range []struct {
			title   string
			dropped bool
		}{{"Carried", false}, {"Dropped because", true}} {
			t := newTable("    "+part.title, "Packets", "Bytes")
			for _, r := range stats.Table() {
				if r.Dropped != part.dropped || r.Text == "" {
					continue
				}
				bytes := ""
				if r.BytesKey != "" {
					bytes = fmt.Sprint(s.Counts[r.Counter].Bytes)
				}
				t.row("    "+r.Text, fmt.Sprint(s.Counts[r.Counter].N), bytes)
			}
			t.write(w)
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no contexts")
	}
}

// orNone is text, or a word for none.
func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
)

// newShowIKESA is `warren show crypto ikev2 sa`.
func newShowIKESA(e *env) *cobra.Command {
	var name string
	var detail bool
	c := &cobra.Command{
		Use:     "sa",
		Short:   "Show IKE SAs and their child SAs",
		Example: "  warren show crypto ikev2 sa\n  warren show crypto ikev2 sa --detail --context blue",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			list, err := e.client().IKESAs(ctx, name)
			if err != nil {
				return err
			}
			if err := e.print(list, func(w io.Writer) { e.ikeSAs(w, list.IKESAs, detail) }); err != nil {
				return err
			}
			return e.silent(list.Errors, len(list.IKESAs))
		}),
	}
	c.Flags().BoolVar(&detail, "detail", false, "also SPIs, identities, NAT traversal, counters")
	e.contextFlag(c, &name, "only of this `context`")
	return c
}

func (e *env) ikeSAs(w io.Writer, list []control.IKESA, detail bool) {
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no IKEv2 SAs")
		return
	}
	fmt.Fprintf(w, "IKEv2 SAs: %d\n\n", len(list))
	t := newTable("Context", "Local", "Remote", "Status", "Role", "Remote ID", "Child SAs")
	for i := range list {
		s := &list[i]
		t.row(s.Context, s.Local, s.Remote, s.State, s.Role, s.RemoteID, fmt.Sprint(len(s.ChildSAs)))
		if s.Encryption != "" { // else nothing is agreed yet
			t.notef("Encr: %s, PRF: %s, KE: %s", cipher(s.Encryption, s.Integrity), s.PRF, s.KeyExchange)
		}
		t.notef("Active time: %s, assigned: %s", e.since(s.Established), addresses(s.Assigned))
		if detail {
			t.notef("SPI initiator/responder: %s/%s", s.SPIi, s.SPIr)
			t.notef("Local ID: %s", s.LocalID)
			t.notef("Remote ID: %s", s.RemoteID)
			t.notef("Tunnel group: %s", s.TunnelGroup)
			t.notef("NAT-T: %s", yesNo(s.NATT))
			t.notef("Established: %s", moment(s.Established))
			t.notef("Messages that failed the integrity check: %d", s.IntegrityFailed)
		}
		for j := range s.ChildSAs {
			e.childOfIKE(t, &s.ChildSAs[j], detail)
		}
	}
	t.write(w)
}

func (e *env) childOfIKE(t *table, c *control.ChildSA, detail bool) {
	t.notef("Child SA: local selector  %s", strings.Join(c.LocalTS, ", "))
	t.notef("          remote selector %s", strings.Join(c.RemoteTS, ", "))
	t.notef("          ESP SPI in/out: %s/%s", c.SPIIn, c.SPIOut)
	if !detail {
		return
	}
	t.notef("          Encr: %s, ESN: %s, mode tunnel, encapsulation %s", cipher(c.Encryption, c.Integrity),
		yesNo(c.ESN), c.Encapsulation)
	t.notef("          In:  %d packets, %d bytes; dropped: %d replayed, %d forged", c.PacketsIn, c.BytesIn,
		c.ReplayDropped, c.IntegrityFailed)
	t.notef("          Out: %d packets, %d bytes", c.PacketsOut, c.BytesOut)
	t.notef("          Remaining life: %s", e.until(c))
}

// until prints how long a child SA may still live.
func (e *env) until(c *control.ChildSA) string {
	if c.Expires.IsZero() {
		return "unlimited"
	}
	return span(c.Expires.Sub(e.now()))
}

// cipher joins encryption and integrity, which an AEAD has not.
func cipher(encryption, integrity string) string {
	if integrity == "" {
		return encryption
	}
	return encryption + " " + integrity
}

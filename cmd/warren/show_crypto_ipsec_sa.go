package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
)

// newShowChildSA is `warren show crypto ipsec sa`.
func newShowChildSA(e *env) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:     "sa",
		Short:   "Show child SAs with selectors, SPIs, counters, lifetimes",
		Example: "  warren show crypto ipsec sa\n  warren show crypto ipsec sa --context blue --json",
		Args:    noArgs,
		RunE: does(func(ctx context.Context, _ []string) error {
			list, err := e.client().ChildSAs(ctx, name)
			if err != nil {
				return err
			}
			if err := e.print(list, func(w io.Writer) { e.childSAs(w, list.ChildSAs) }); err != nil {
				return err
			}
			return e.silent(list.Errors, len(list.ChildSAs))
		}),
	}
	e.contextFlag(c, &name, "only of this `context`")
	return c
}

func (e *env) childSAs(w io.Writer, list []control.ChildSA) {
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no IPsec SAs")
		return
	}
	for i := range list {
		c := &list[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		say := func(format string, args ...any) { fmt.Fprintln(w, plain(fmt.Sprintf(format, args...))) }
		say("context: %s", c.Context)
		say("    local  ident: %s", strings.Join(c.LocalTS, ", "))
		say("    remote ident: %s", strings.Join(c.RemoteTS, ", "))
		say("    local endpt.: %s, remote endpt.: %s", c.Local, c.Remote)
		say("    #pkts encaps: %d, #bytes encaps: %d", c.PacketsOut, c.BytesOut)
		say("    #pkts decaps: %d, #bytes decaps: %d", c.PacketsIn, c.BytesIn)
		say("    #replay dropped: %d, #integrity failed: %d", c.ReplayDropped, c.IntegrityFailed)
		say("    inbound  esp spi: %s", c.SPIIn)
		say("    outbound esp spi: %s, sequence number: %d", c.SPIOut, c.SequenceOut)
		say("    transform: %s, esn: %s, mode: tunnel, encapsulation: %s", cipher(c.Encryption, c.Integrity),
			yesNo(c.ESN), c.Encapsulation)
		say("    replay window: %s, remaining life: %s", window(c.ReplayWindow), e.until(c))
	}
}

// window prints the size of a replay window.
func window(packets uint32) string {
	if packets == 0 {
		return "off"
	}
	return fmt.Sprintf("%d packets", packets)
}

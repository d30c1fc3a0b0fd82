package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/context/control"
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
		t := newTable("    Carried", "Packets", "Bytes")
		row := func(what string, packets, bytes uint64) { t.row("    "+what, fmt.Sprint(packets), fmt.Sprint(bytes)) }
		row("decrypted", s.PacketsIn, s.BytesIn)
		row("encrypted", s.PacketsOut, s.BytesOut)
		t.row("    fragmented before encryption", fmt.Sprint(s.Fragmented), "")
		t.row("    ICMP too big sent", fmt.Sprint(s.TooBigSent), "")
		t.row("    IKE received", fmt.Sprint(s.IKEIn), "")
		t.row("    IKE sent", fmt.Sprint(s.IKEOut), "")
		t.row("    NAT keepalives received", fmt.Sprint(s.Keepalives), "")
		t.write(w)
		t = newTable("    Dropped because", "Packets", "Bytes")
		for _, d := range dropsOf(&s.IPsecCounters) {
			row(d.why, d.packets, d.bytes)
		}
		t.row("    arrived in clear, and may not", fmt.Sprint(s.DropClearIn), "")
		t.write(w)
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

// drop is one cause.
type drop struct {
	why            string
	packets, bytes uint64
}

// dropsOf lists the causes, those of received packets first.
func dropsOf(c *control.IPsecCounters) []drop {
	return []drop{
		{"no SA has the SPI", c.DropSPI, c.DropSPIBytes},
		{"replayed", c.DropReplay, c.DropReplayBytes},
		{"not authentic", c.DropIntegrity, c.DropIntegrityBytes},
		{"spoofed: outside the SA's selectors", c.DropSelector, c.DropSelectorBytes},
		{"malformed", c.DropMalformed, c.DropMalformedBytes},
		{"dummy packet", c.DropDummy, c.DropDummyBytes},
		{"congestion mark without ECN", c.DropECN, c.DropECNBytes},
		{"overload", c.DropOverload, c.DropOverloadBytes},
		{"not taken by the tunnel device", c.DropDeliver, c.DropDeliverBytes},
		{"in clear otherwise: no SA covers it", c.DropClear, c.DropClearBytes},
		{"multicast, or its SA has just gone", c.DropPolicy, c.DropPolicyBytes},
		{"too big for the path", c.DropTooBig, c.DropTooBigBytes},
		{"no sequence number left", c.DropSequence, c.DropSequenceBytes},
		{"volume limit reached", c.DropVolume, c.DropVolumeBytes},
		{"no socket at the local address", c.DropNoSocket, c.DropNoSocketBytes},
		{"refused by the network", c.DropSend, c.DropSendBytes},
		{"beyond the limits of the class", c.DropRate, c.DropRateBytes},
		{"standby", c.DropMuted, c.DropMutedBytes},
	}
}

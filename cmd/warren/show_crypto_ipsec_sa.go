package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
	"github.com/warrenvpn/warren/system/fault"
)

// showChildSA is `warren show crypto ipsec sa`.
var showChildSA = query[api.ChildSAs]{
	use:     "sa",
	short:   "Show child SAs with selectors, SPIs, counters, lifetimes",
	example: "  warren show crypto ipsec sa\n  warren show crypto ipsec sa --context blue --json",
	context: "only of this `context`",
	ask:     (*client.Client).ChildSAs,
	text:    func(e *env, w io.Writer, a *api.ChildSAs) { e.childSAs(w, a.ChildSAs) },
	missing: func(a *api.ChildSAs) ([]fault.ContextError, int) { return a.Errors, len(a.ChildSAs) },
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

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

// showIKESA is `warren show crypto ikev2 sa`.
var showIKESA = query[api.IKESAs]{
	use:     "sa",
	short:   "Show IKE SAs and their child SAs",
	example: "  warren show crypto ikev2 sa\n  warren show crypto ikev2 sa --detail --context blue",
	context: "only of this `context`",
	detail:  "also SPIs, identities, NAT traversal, counters",
	ask:     (*client.Client).IKESAs,
	text: func(e *env, w io.Writer, a *api.IKESAs) {
		if len(a.IKESAs) == 0 {
			fmt.Fprintln(w, "There are no IKEv2 SAs")
			return
		}
		fmt.Fprintf(w, "IKEv2 SAs: %d\n\n", len(a.IKESAs))
		ikeSATable.write(e, w, a.IKESAs)
	},
	missing: func(a *api.IKESAs) ([]fault.ContextError, int) { return a.Errors, len(a.IKESAs) },
}

var ikeSATable = table[control.IKESA]{
	columns: []column[control.IKESA]{
		{"Context", func(_ *env, s *control.IKESA) string { return s.Context }},
		{"Local", func(_ *env, s *control.IKESA) string { return s.Local }},
		{"Remote", func(_ *env, s *control.IKESA) string { return s.Remote }},
		{"Status", func(_ *env, s *control.IKESA) string { return s.State }},
		{"Role", func(_ *env, s *control.IKESA) string { return s.Role }},
		{"Remote ID", func(_ *env, s *control.IKESA) string { return s.RemoteID }},
		{"Child SAs", func(_ *env, s *control.IKESA) string { return fmt.Sprint(len(s.ChildSAs)) }},
	},
	notes: func(e *env, s *control.IKESA, note func(string, ...any)) {
		if s.Encryption != "" { // else nothing is agreed yet
			note("Encr: %s, PRF: %s, KE: %s", cipher(s.Encryption, s.Integrity), s.PRF, s.KeyExchange)
		}
		note("Active time: %s, assigned: %s", e.since(s.Established), addresses(s.Assigned))
		if e.detail {
			note("SPI initiator/responder: %s/%s", s.SPIi, s.SPIr)
			note("Local ID: %s", s.LocalID)
			note("Remote ID: %s", s.RemoteID)
			note("Tunnel group: %s", s.TunnelGroup)
			note("NAT-T: %s", yesNo(s.NATT))
			note("MOBIKE: %s", yesNo(s.MOBIKE))
			note("Established: %s", moment(s.Established))
			note("Messages that failed the integrity check: %d", s.IntegrityFailed)
			note("Requests dropped because there were too many: %d", s.Excess)
		}
		for i := range s.ChildSAs {
			e.childOfIKE(&s.ChildSAs[i], note)
		}
	},
}

func (e *env) childOfIKE(c *control.ChildSA, note func(string, ...any)) {
	note("Child SA: local selector  %s", strings.Join(c.LocalTS, ", "))
	note("          remote selector %s", strings.Join(c.RemoteTS, ", "))
	note("          ESP SPI in/out: %s/%s", c.SPIIn, c.SPIOut)
	if !e.detail {
		return
	}
	note("          Encr: %s, ESN: %s, mode tunnel, encapsulation %s", cipher(c.Encryption, c.Integrity),
		yesNo(c.ESN), c.Encapsulation)
	note("          In:  %d packets, %d bytes; dropped: %d replayed, %d forged", c.PacketsIn, c.BytesIn,
		c.ReplayDropped, c.IntegrityFailed)
	note("          Out: %d packets, %d bytes", c.PacketsOut, c.BytesOut)
	note("          Remaining life: %s", e.until(c))
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

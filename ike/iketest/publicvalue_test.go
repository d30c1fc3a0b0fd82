package iketest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/ike/wire"
)

// publicValues are those of each group that no peer may have: of a wrong length
// (CVE-2023-41913), outside the group, or such that the secret is known (CVE-2015-3240,
// RFC 6989, RFC 8031 section 2).
func publicValues() map[uint16]map[string][]byte {
	out := map[uint16]map[string][]byte{}
	for _, group := range []uint16{sa.KEX25519, sa.KEECP256, sa.KEECP384, sa.KEECP521, sa.KEModp2048} {
		n, _ := suite.PublicLen(group)
		out[group] = map[string][]byte{
			"one octet": {9}, "an octet less": bytes.Repeat([]byte{9}, n-1),
			"an octet more": bytes.Repeat([]byte{9}, n+1), "a thousand more": bytes.Repeat([]byte{9}, n+1000),
			"zero": make([]byte, n), "ones": bytes.Repeat([]byte{0xff}, n),
		}
		one := make([]byte, n)
		if group == sa.KEX25519 {
			one[0] = 1 // little endian
			delete(out[group], "ones")
		} else {
			one[n-1] = 1
		}
		out[group]["one"] = one
	}
	return out
}

// TestPublicValues: a peer that is authentic gets nowhere with such a value either: the
// rekeying of a child SA or of the IKE SA is refused with INVALID_SYNTAX, what stands goes
// on, and nothing is kept.
func TestPublicValues(t *testing.T) {
	for group, values := range publicValues() {
		_, g, f := met(t, func(c *exchange.Config) {
			kes := sa.Proposal{{Type: sa.KeyExchange, ID: group}}
			c.Policies = append(c.Policies, exchange.Policy{Name: "20", Proposal: slices.Concat(IKEProposal[:2], kes)})
			c.Entries[0].Proposals[0].Proposal = slices.Concat(ESPProposal, kes)
			c.Profiles[0].DPD = 0
		})
		kx := sa.Transform{Type: sa.KeyExchange, ID: group}
		old := only(t, g)
		for what, value := range values {
			what = fmt.Sprintf("group %d, %s", group, what)
			ke := wire.KE{Group: group, Data: value}
			child := append(newChildPayloads(old.Out.SPI, 0x2222), ke)
			child[1] = suite.Offer([]sa.Proposal{slices.Concat(ESPProposal, sa.Proposal{kx})}, wire.ProtocolESP,
				[]byte{0, 0, 0x22, 0x22})
			if ps := f.Ask(wire.CreateChildSA, child...); len(ps) != 1 || errorOf(ps) != "INVALID_SYNTAX" {
				t.Errorf("%s: child SA is answered with %v", what, ps)
			}
			ps := f.Ask(wire.CreateChildSA,
				suite.Offer([]sa.Proposal{slices.Concat(IKEProposal[:2], sa.Proposal{kx})}, wire.ProtocolIKE,
					binary.BigEndian.AppendUint64(nil, 7)), wire.Nonce{Data: make([]byte, 32)}, ke)
			if len(ps) != 1 || errorOf(ps) != "INVALID_SYNTAX" {
				t.Errorf("%s: IKE SA is answered with %v", what, ps)
			}
			g.lab.Run(10 * time.Second) // what a peer may ask for is bounded in time
		}
		if c := only(t, g); c.ID != old.ID || len(g.Engine.Status()) != 1 || f.Ask(wire.Informational) == nil {
			t.Errorf("group %d: %v, %v", group, c, g.Engine.Status())
		}
	}
}

// TestNonces: a nonce has 16 to 256 octets (RFC 7296 section 3.9), in each exchange that
// has one.
func TestNonces(t *testing.T) {
	for _, tt := range []struct {
		octets int
		ok     bool
	}{{0, false}, {15, false}, {16, true}, {256, true}, {257, false}, {4000, false}} {
		_, g, s := alone(t, nil)
		s.ni = make([]byte, tt.octets)
		if got := s.Init(); got != tt.ok {
			t.Errorf("%d octets: IKE_SA_INIT is served: %v", tt.octets, got)
		}
		if n := len(g.Engine.Status()); (n == 1) != tt.ok {
			t.Errorf("%d octets: %d IKE SAs", tt.octets, n)
		}
		_, _, f := met(t, nil)
		ps := newChildPayloads(0, 0x2222)
		ps[1] = wire.Nonce{Data: make([]byte, tt.octets)}
		want := ""
		if !tt.ok {
			want = "INVALID_SYNTAX"
		}
		if got := errorOf(f.Ask(wire.CreateChildSA, ps...)); got != want {
			t.Errorf("%d octets: CREATE_CHILD_SA is answered with %q", tt.octets, got)
		}
	}
}

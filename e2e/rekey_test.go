//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestRekeyWithDefaultProposals: a strongSwan client that names no proposals, and
// a gateway with more than one cipher and PRF. Whoever rekeys the IKE SA, its
// suite stays, both ends understand each other afterwards, and no packet of the
// client is lost.
func TestRekeyWithDefaultProposals(t *testing.T) {
	l, n, w := start(t, replace(t, "blue.hcl",
		`encryption = ["aes-256-gcm"]
  prf `, `encryption = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"]
  prf `,
		`["x25519", "ecp256"]
  lifetime   = "24h"`, `["x25519", "ecp384", "ecp256"]
  lifetime   = "2m"`))
	conn := n.Blue.Conn()
	conn.Proposals, conn.ESPProposals = "", ""
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	s.MustInitiate(n.Blue.Name)
	pinger := n.Blue.Client.StartPing(lab.Ping{From: vip(t, s), To: lab.InsideHost, Interval: 50 * time.Millisecond})
	first := w.WaitSAs("blue", 1)[0]

	// follows waits for an IKE SA in the place of old, and does another exchange
	// in each direction.
	follows := func(old lab.IKESA, within time.Duration) lab.IKESA {
		t.Helper()
		var next lab.IKESA
		l.Eventually("a rekeyed IKE SA", within, func() error {
			sas := w.IKESAs("blue")
			if len(sas) != 1 || sas[0].SPIi == old.SPIi || sas[0].State != "ESTABLISHED" || len(sas[0].ChildSAs) != 1 {
				return fmt.Errorf("%+v", sas)
			}
			next = sas[0]
			return nil
		})
		if next.Encryption != first.Encryption || next.PRF != first.PRF || next.KeyExchange != first.KeyExchange {
			t.Errorf("suite is %s/%s/%s, was %s/%s/%s", next.Encryption, next.PRF, next.KeyExchange, first.Encryption, first.PRF, first.KeyExchange)
		}
		if err := s.Rekey("blue", false); err != nil {
			t.Fatal(err)
		}
		child := next.ChildSAs[0].SPIIn
		l.Eventually("a rekeyed child SA", 10*time.Second, func() error {
			sas := w.IKESAs("blue")
			if len(sas) != 1 || len(sas[0].ChildSAs) != 1 || sas[0].ChildSAs[0].SPIIn == child {
				return fmt.Errorf("%+v", sas)
			}
			return nil
		})
		answers(l, pinger, 20)
		return next
	}
	if err := s.Rekey("blue", true); err != nil {
		t.Fatal(err)
	}
	second := follows(first, 10*time.Second)
	follows(second, 3*time.Minute) // by the gateway
	r := pinger.Stop()
	if r.Received != r.Sent {
		t.Errorf("%d of %d packets were lost", r.Sent-r.Received, r.Sent)
	}
}

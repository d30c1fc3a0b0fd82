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
// client is lost. The gateway rekeys after two minutes, the shortest lifetime that
// there is: this test is the first one of those that run side by side.
func TestRekeyWithDefaultProposals(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, replace(t, "blue.hcl",
		`encryption = ["aes-256-gcm"]
  prf `, `encryption = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"]
  prf `,
		`["x25519", "ecp256"]
  lifetime   = "24h"`, `["x25519", "ecp384", "ecp256"]
  lifetime   = "2m"`))
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{n.Blue.Conn()}})
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
			t.Errorf("suite is %s/%s/%s, was %s/%s/%s", next.Encryption, next.PRF, next.KeyExchange, first.Encryption,
				first.PRF, first.KeyExchange)
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

// policies are the edits of a tenant's file that let it accept every algorithm
// that is not weak.
var policies = []string{
	`  encryption = ["aes-256-gcm"]
  prf        = ["sha384", "sha256"]
  group      = ["x25519", "ecp256"]
  lifetime   = "24h"
}
`, `  encryption = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"]
  prf        = ["sha384", "sha256", "sha512"]
  group      = ["x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096"]
}

ikev2_policy "20" {
  encryption = ["aes-256-cbc", "aes-128-cbc"]
  integrity  = ["sha256", "sha384", "sha512"]
  prf        = ["sha256", "sha384", "sha512"]
  group      = ["x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096"]
}
`,
	`  encryption = ["aes-256-gcm"]
  lifetime   = "8h"
}
`, `  encryption = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"]
}

ipsec_proposal "classic" {
  encryption = ["aes-256-cbc", "aes-128-cbc"]
  integrity  = ["sha256", "sha384", "sha512"]
}
`,
	`ipsec_proposals = ["strong"]`, `ipsec_proposals = ["strong", "classic"]`,
}

// TestAlgorithms connects strongSwan with every cipher and every key exchange
// that both have.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	_, n, w := start(t, replace(t, "blue.hcl", policies...))
	ciphers := []struct {
		ike, esp   string // strongSwan's names
		encryption string // ours
	}{
		{"aes128gcm16-prfsha256", "aes128gcm16", "aes-128-gcm"},
		{"aes256gcm16-prfsha384", "aes256gcm16", "aes-256-gcm"},
		{"chacha20poly1305-prfsha512", "chacha20poly1305", "chacha20-poly1305"},
		{"aes128-sha256", "aes128-sha256", "aes-128-cbc"},
		{"aes256-sha384", "aes256-sha384", "aes-256-cbc"},
		{"aes256-sha512", "aes256-sha512-noesn", "aes-256-cbc"},
	}
	groups := []struct{ theirs, ours string }{
		{"x25519", "x25519"}, {"ecp256", "ecp256"}, {"ecp384", "ecp384"}, {"ecp521", "ecp521"},
		{"modp2048", "modp2048"}, {"modp3072", "modp3072"}, {"modp4096", "modp4096"},
	}
	var conns []lab.StrongSwanConn
	for _, c := range ciphers {
		for _, g := range groups {
			conn := n.Blue.Conn()
			conn.Name = c.ike + "-" + g.theirs
			conn.Proposals, conn.ESPProposals = conn.Name, c.esp
			conns = append(conns, conn)
		}
	}
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: conns})
	for i, conn := range conns {
		c, g := ciphers[i/len(groups)], groups[i%len(groups)]
		t.Run(conn.Name, func(t *testing.T) {
			if err := s.Initiate(conn.Name, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			sa := w.WaitSAs("blue", 1)[0]
			if sa.Encryption != c.encryption || sa.KeyExchange != g.ours || sa.ChildSAs[0].Encryption != c.encryption {
				t.Errorf("got %s, %s and %s for the child; want %s, %s", sa.Encryption, sa.KeyExchange,
					sa.ChildSAs[0].Encryption, c.encryption, g.ours)
			}
			address := vip(t, s)
			n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost, Size: 1000,
				Interval: 5 * time.Millisecond})
			if err := s.Terminate(conn.Name); err != nil {
				t.Fatal(err)
			}
			w.WaitSAs("blue", 0)
		})
	}
}

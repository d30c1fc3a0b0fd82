//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestUserOfAnIdentity: a client that proves its identity by a key of its own gets what the
// entry of its name says: its own address, of no pool, through the tunnel and back; nobody
// else gets it, and after its last day the user gets nothing.
func TestUserOfAnIdentity(t *testing.T) {
	t.Parallel()
	const own = "10.77.0.7"
	user := `
user "alice@blue.example" {
  address = "` + own + `"
}
`
	_, n, w := start(t, replace(t, "blue.hcl",
		`remote_authentication = { pre_shared_key = "blue-client-key" }`,
		`remote_authentication = {
      pre_shared_keys = { "alice@blue.example" = "only alice has this key", "bob@blue.example" = "only bob has this key" }
    }`,
		`crypto_map "outside" {`, user+`crypto_map "outside" {`))
	conn := n.Blue.Conn()
	conn.LocalID, conn.LocalPSK = "alice@blue.example", "only alice has this key"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	defer s.Stop()
	s.MustInitiate("blue")
	if got := vip(t, s); got != own {
		t.Errorf("alice got %s, want %s", got, own)
	}
	n.Blue.Client.MustPing(lab.Ping{From: own, To: lab.InsideHost})
	n.Blue.Host.MustPing(lab.Ping{From: lab.InsideHost, To: own})
	s.Stop()

	conn.LocalID, conn.LocalPSK, conn.VIPs = "bob@blue.example", "only bob has this key", own
	b := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	b.MustInitiate("blue")
	if got := vip(t, b); got == own {
		t.Errorf("bob, who asked for it, got alice's address")
	}
	b.Stop()

	text := replace(t, "blue.hcl",
		`remote_authentication = { pre_shared_key = "blue-client-key" }`,
		`remote_authentication = {
      pre_shared_keys = { "alice@blue.example" = "only alice has this key" }
    }`,
		`crypto_map "outside" {`, "user \"alice@blue.example\" { expires = \"2026-01-31\" }\n"+`crypto_map "outside" {`)
	w.Write("blue.hcl", text("blue.hcl", lab.File("blue.hcl")))
	w.MustCLI("reload")
	conn.LocalID, conn.LocalPSK, conn.VIPs = "alice@blue.example", "only alice has this key", "0.0.0.0"
	a := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	if err := a.Initiate("blue", 5*time.Second); err == nil {
		t.Fatal("alice was let in after her last day")
	}
	wantNotify(t, a, "AUTH_FAILED|AUTHENTICATION_FAILED")
	wantLog(t, w, "level=WARN", "the user has expired", "AUTHENTICATION_FAILED")
}

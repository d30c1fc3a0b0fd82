//go:build e2e

package e2e

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestRefused has clients turned away: the client gets the notify that the RFC
// has for it, and the operator a line that says who and why.
func TestRefused(t *testing.T) {
	_, n, w := start(t, func(name, text string) string {
		return replace(t, "blue.hcl",
			`local_identity        = "gw.blue.example"`,
			`local_identity        = "gw.blue.example"`+"\n    remote_identity       = [\"*@blue.example\"]")(name,
			text)
	})
	tests := []struct {
		name   string
		change func(*lab.StrongSwanConn)
		notify string // in charon's log
		log    []string
	}{
		{"wrong key", func(c *lab.StrongSwanConn) { c.LocalPSK = "guessed" },
			"AUTH_FAILED|AUTHENTICATION_FAILED", []string{"alice@blue.example", "AUTHENTICATION_FAILED"}},
		{"wrong identity", func(c *lab.StrongSwanConn) { c.LocalID = "mallory@evil.example" },
			"AUTH_FAILED|AUTHENTICATION_FAILED", []string{"mallory@evil.example", "AUTHENTICATION_FAILED"}},
		{"wrong identity of the gateway", func(c *lab.StrongSwanConn) { c.RemoteID = "gw.green.example" },
			"AUTH_FAILED|AUTHENTICATION_FAILED", []string{"gw.green.example", "AUTHENTICATION_FAILED"}},
		{"no common proposal", func(c *lab.StrongSwanConn) { c.Proposals = "aes128-sha256-modp2048" },
			"NO_PROP|NO_PROPOSAL_CHOSEN", []string{lab.OutsideClient, "NO_PROPOSAL_CHOSEN"}},
		{"no common proposal for the child", func(c *lab.StrongSwanConn) { c.ESPProposals = "aes128-sha256" },
			"NO_PROP|NO_PROPOSAL_CHOSEN", []string{"alice@blue.example", "NO_PROPOSAL_CHOSEN"}},
		{"nothing in common to protect", func(c *lab.StrongSwanConn) { c.RemoteTS = "192.0.2.0/24" },
			"TS_UNACCEPT", []string{"alice@blue.example", "TS_UNACCEPTABLE"}},
		{"no address asked for", func(c *lab.StrongSwanConn) { c.VIPs = "" },
			"FAIL_CP_REQ|FAILED_CP_REQUIRED", []string{"alice@blue.example", "FAILED_CP_REQUIRED"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := n.Blue.Conn()
			tt.change(&conn)
			s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
			defer s.Stop()
			if err := s.Initiate("blue", 5*time.Second); err == nil {
				t.Error("the client is connected")
			}
			wantNotify(t, s, tt.notify)
			wantLog(t, w, append(tt.log, "level=WARN", "tenant=blue")...)
		})
	}

	_, address := client(t, n.Blue)
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
}

// wantNotify waits for a message with the notify that charon has parsed, and fails the test
// where none comes.
func wantNotify(t *testing.T, s *lab.StrongSwan, notify string) {
	t.Helper()
	if err := s.WaitLog(regexp.MustCompile(`parsed .* response .*N\((` + notify + `)`)); err != nil {
		t.Error(err)
	}
}

// conns are n connections of a tenant, each with an identity of its own.
func conns(tenant lab.Tenant, n int) []lab.StrongSwanConn {
	var list []lab.StrongSwanConn
	for i := range n {
		c := tenant.Conn()
		c.Name = tenant.Name + strconv.Itoa(i)
		c.LocalID = "user" + strconv.Itoa(i) + "@" + tenant.Name + ".example"
		list = append(list, c)
	}
	return list
}

// TestPoolExhausted has one address for two clients.
func TestPoolExhausted(t *testing.T) {
	_, n, w := start(t, replace(t, "blue.hcl", "10.99.0.10-10.99.0.250", "10.99.0.10-10.99.0.10"))
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: conns(n.Blue, 2)})
	s.MustInitiate("blue0")
	if err := s.Initiate("blue1", 5*time.Second); err == nil {
		t.Error("the second client is connected")
	}
	wantNotify(t, s, "INT_ADDR_FAIL")
	wantLog(t, w, "level=WARN", "tenant=blue", "user1@blue.example", "INTERNAL_ADDRESS_FAILURE")
	n.Blue.Client.MustPing(lab.Ping{From: "10.99.0.10", To: lab.InsideHost})

	if err := s.Terminate("blue0"); err != nil {
		t.Fatal(err)
	}
	if err := s.Terminate("blue1"); err != nil {
		t.Log("the IKE SA without a child:", err)
	}
	s.MustInitiate("blue1")
	if got := vip(t, s); got != "10.99.0.10" {
		t.Errorf("the address that is free again: got %s", got)
	}
}

// TestClassLimit has red's class, bronze, let two clients in.
func TestClassLimit(t *testing.T) {
	_, n, w := start(t, nil)
	s := n.Red.Client.StrongSwan(lab.StrongSwanConfig{Conns: conns(n.Red, 3)})
	s.MustInitiate("red0")
	s.MustInitiate("red1")
	if err := s.Initiate("red2", 5*time.Second); err == nil {
		t.Error("the third client is connected")
	}
	wantNotify(t, s, "NO_ADD_SAS")
	wantLog(t, w, "level=WARN", "tenant=red", "user2@red.example", "vpn_anyconnect", "bronze")
	w.WaitSAs("red", 2)
	found := false
	for _, r := range w.Resources("red") {
		if r.Resource == "vpn_anyconnect" {
			found = true
			if r.Current != 2 || r.Limit != 2 || r.Denied < 1 {
				t.Errorf("show resource usage: got %+v, want current 2, limit 2, denied 1", r)
			}
		}
	}
	if !found {
		t.Error("show resource usage has no row vpn_anyconnect of red")
	}

	if err := s.Terminate("red0"); err != nil {
		t.Fatal(err)
	}
	s.MustInitiate("red2")
	w.WaitSAs("red", 2)
}

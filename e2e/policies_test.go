//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestPolicies: what group policies and pools say, a client is told and gets: a netmask,
// name servers, all networks but some; and none is let in outside of the access hours, or
// by another tunnel group than that of the policy.
func TestPolicies(t *testing.T) {
	t.Parallel()
	_, n, w := start(t, replace(t, "blue.hcl",
		`ip_pool "staff" { range = "10.99.0.10-10.99.0.250" }`,
		"ip_pool \"staff\" {\n  range = \"10.99.0.10-10.99.0.250\"\n  mask = \"255.255.255.0\"\n}",
		`split_tunnel     = ["10.10.0.0/24"]`, `split_exclude = ["192.168.0.0/16", "198.51.100.0/24"]`))
	conn := n.Blue.Conn()
	conn.RemoteTS = "0.0.0.0/0"
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
	s.MustInitiate("blue")
	if log := s.Log(); !strings.Contains(log, "CPRP(ADDR MASK DNS") {
		t.Errorf("the client was told no netmask and name server:\n%s", log)
	}
	out, err := s.Swanctl("--list-sas")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.0.0.0/1", "192.0.0.0/9", "192.169.0.0/16", "198.51.101.0/24"} {
		if !strings.Contains(out, want) {
			t.Errorf("the child SA does not carry %s:\n%s", want, out)
		}
	}
	if strings.Contains(out, "192.168.") || strings.Contains(out, "198.51.100.0/24") {
		t.Errorf("the child SA carries what is excluded:\n%s", out)
	}
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
	if out := w.MustCLI("show", "policy", "--context", "blue", "--user", "alice@blue.example"); !strings.Contains(out,
		"all but 192.168.0.0/16, 198.51.100.0/24  group_policy") {
		t.Errorf("show policy says:\n%s", out)
	}
	other := time.Now().UTC().Add(72*time.Hour).Format("Mon") + " 00:00-24:00"
	for _, tt := range []struct{ name, line, want string }{
		{"another day", `access_hours = ["` + other + `"]`, "access_hours"},
		{"another group", `group_lock = "office"`, "group_lock"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = s.Terminate("blue") // of the case before, nothing is left
			text := strings.Replace(lab.File("blue.hcl"), `tunnel_protocols = ["ikev2"]`, tt.line, 1)
			w.Write("blue.hcl", text+branchOffice)
			w.MustCLI("reload")
			if err := s.Initiate("blue", 5*time.Second); err == nil {
				t.Fatal("the client was let in")
			}
			wantNotify(t, s, "AUTH_FAILED|AUTHENTICATION_FAILED")
			wantLog(t, w, "level=WARN", tt.want, "AUTHENTICATION_FAILED")
		})
	}
}

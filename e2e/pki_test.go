//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestPKI has strongSwan and the gateway prove themselves to each other with what `warren
// pki` has made, and again after the gateway's certificate was renewed.
func TestPKI(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	n := l.TwoTenants()
	dir := t.TempDir()
	pki := func(args ...string) {
		t.Helper()
		c := exec.Command(filepath.Join(lab.Bin(), "warren"), append([]string{"pki"}, args...)...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("warren pki %v: %v\n%s", args, err, out)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pki("ca", "--name", "Blue VPN", "ca")
	pki("gateway", "--ca", "ca", "--name", "gw.blue.example", "gw")
	pki("client", "--ca", "ca", "--key", "ecdsa", "--name", "alice@blue.example", "alice")
	w := n.StartGateway(replace(t, "blue.hcl",
		`local_authentication  = { pre_shared_key = "blue-gateway-key" }`,
		`local_authentication  = { certificate = "gw" }`,
		`remote_authentication = { pre_shared_key = "blue-client-key" }`,
		`remote_authentication = { certificate = "gw" }`,
		`group_policy "staff" {`, fmt.Sprintf(`trustpoint "gw" {
  certificate = { file = "%[1]s/gw.pem" }
  key         = { file = "%[1]s/gw.key" }
  ca          = { file = "%[1]s/ca/ca.pem" }
}
group_policy "staff" {`, dir)))
	w.Ready()
	conn := n.Blue.Conn()
	conn.LocalID, conn.RemoteID, conn.LocalCert, conn.RemoteCert = "alice@blue.example", "gw.blue.example", "own", true
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn},
		Authorities:  [][]byte{read("ca/ca.pem")},
		Certificates: []lab.StrongSwanCert{{Name: "own", Chain: [][]byte{read("alice.pem")}, Key: read("alice.key")}}})
	s.MustInitiate("blue")
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})

	pki("renew", "--ca", "ca", "gw.pem")
	w.MustCLI("apply")
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
	if err := s.Terminate("blue"); err != nil {
		t.Fatal(err)
	}
	s.MustInitiate("blue")
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
}

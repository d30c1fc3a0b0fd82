//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestMOBIKE takes the address of a strongSwan client away, which has another one: it
// keeps its IKE SA, and what is under way in the tunnel goes on; and
// so once more, back to the first one.
func TestMOBIKE(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, nil)
	client := n.Blue.Client // it has two addresses
	client.Sysctl("net/ipv4/conf/out/promote_secondaries", "1")
	s := client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{n.Blue.Conn()}})
	s.MustInitiate("blue")
	before := w.WaitSAs("blue", 1)[0]
	if out := w.MustCLI("show", "crypto", "ikev2", "sa", "--context", "blue", "--detail"); !strings.Contains(out,
		"MOBIKE: yes") {
		t.Errorf("show crypto ikev2 sa --detail:\n%s", out)
	}
	from, _, _ := strings.Cut(before.Remote, ":")
	ping := client.StartPing(lab.Ping{From: vip(t, s), To: lab.InsideHost, Interval: 50 * time.Millisecond})
	for range 2 {
		client.MustRun("ip", "address", "del", from+"/24", "dev", "out")
		to := from
		l.Eventually("the client to be elsewhere", 20*time.Second, func() error {
			sa := w.WaitSAs("blue", 1)[0]
			to, _, _ = strings.Cut(sa.Remote, ":")
			if to == from || !strings.HasPrefix(sa.ChildSAs[0].Remote, to+":") {
				return fmt.Errorf("IKE SA with %s, child SA with %s", sa.Remote, sa.ChildSAs[0].Remote)
			}
			if sa.SPIi != before.SPIi {
				t.Fatalf("it has connected anew: %v, before %v\n%s", sa, before, s.Log())
			}
			return nil
		})
		answers(l, ping, 10)
		client.Address("out", from+"/24")
		from = to
	}
	t.Log(ping.Stop())
	if log := s.Log(); strings.Count(log, "UPD_SA_ADDR") < 2 {
		t.Errorf("strongSwan has not moved with MOBIKE:\n%s", log)
	}
}

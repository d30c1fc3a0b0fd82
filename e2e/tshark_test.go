//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestThirdPartyDecodes gives the keys to tshark, which must decrypt both IKE
// and ESP and find nothing malformed; also where strongSwan cuts its IKE_AUTH request
// into pieces, and the gateway its answer, which names many networks.
func TestThirdPartyDecodes(t *testing.T) {
	t.Parallel()
	var split strings.Builder
	for i := range 30 {
		fmt.Fprintf(&split, `, "10.11.%d.0/24"`, 2*i)
	}
	broad := replace(t, "blue.hcl", append([]string{`["10.10.0.0/24"]
  tunnel`, `["10.10.0.0/24"` + split.String() + `]
  tunnel`, `group_policy "staff"`, `ikev2 { fragment_size = 576 }
group_policy "staff"`}, policies...)...)
	tests := []struct {
		name, ike, esp string
		size           int  // of strongSwan's fragments
		icv            bool // tshark can check the integrity of this ESP
	}{
		{"AES-GCM", "aes256gcm16-prfsha384-x25519", "aes256gcm16", 0, false},
		{"AES-CBC", "aes256-sha256-modp2048", "aes256-sha256", 250, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, n, w := start(t, broad)
			wire := n.Blue.Client.Capture("out")
			conn := n.Blue.Conn()
			conn.Proposals, conn.ESPProposals = tt.ike, tt.esp
			s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn},
				FragmentSize: tt.size})
			s.MustInitiate("blue")
			n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost, Interval: 10 * time.Millisecond})
			config := l.Path("config", "wireshark", "x")
			w.MustCLI("debug", "export-keys", "--context", "blue", "--dir", filepath.Dir(config))
			if err := s.Terminate("blue"); err != nil {
				t.Fatal(err)
			}
			wire.Stop()

			out, _, err := n.Blue.Client.Output(lab.Command{
				Args: []string{"tshark", "-r", wire.Path(), "-V",
					"-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"},
				Env: []string{"XDG_CONFIG_HOME=" + filepath.Dir(filepath.Dir(config))},
			})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				"alice@blue.example",                // in IDi, encrypted
				"gw.blue.example",                   // in IDr
				"INTERNAL_IP4_ADDRESS",              // in the configuration payload
				"Payload: Traffic Selector",         // TSi and TSr
				"Payload: Delete",                   // in the INFORMATIONAL at the end
				"Internet Control Message Protocol", // inside ESP
				"Src: 10.10.0.53",                   // the host's answer
				"10.11.58.0",                        // in a fragment of the IKE_AUTH response
				"Message fragment",
			}
			for _, want := range want {
				if !strings.Contains(out, want) {
					t.Errorf("tshark does not see %q", want)
				}
			}
			decoded(t, out, tt.icv)
			if tt.icv && !strings.Contains(out, "[correct]") {
				t.Error("tshark has checked no ICV")
			}
		})
	}
}

// decoded fails the test for what tshark finds wrong; with icv for wrong checksums of ESP, too.
func decoded(t *testing.T, out string, icv bool) {
	t.Helper()
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Malformed") || strings.Contains(line, "[Expert Info (Error") ||
			icv && strings.Contains(line, "ICV:") && strings.Contains(line, "incorrect") {
			t.Errorf("tshark: %s", strings.TrimSpace(line))
		}
	}
}

// TestThirdPartyDecodesLater has tshark decode what comes after a set-up: a move with
// MOBIKE and the cookie by which the client proves where it is, and the rekeyings of the
// child SA and of the IKE SA.
func TestThirdPartyDecodesLater(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, replace(t, "blue.hcl", `group_policy "staff"`,
		"mobike { return_routability_check = true }\n"+`group_policy "staff"`))
	client := n.Blue.Client // it has two addresses
	client.Sysctl("net/ipv4/conf/out/promote_secondaries", "1")
	wire := client.Capture("out")
	s := client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{n.Blue.Conn()}})
	s.MustInitiate("blue")
	config := l.Path("config", "wireshark", "x")
	w.MustCLI("debug", "export-keys", "--context", "blue", "--dir", filepath.Dir(config))
	first := w.WaitSAs("blue", 1)[0]
	from, _, _ := strings.Cut(first.Remote, ":")
	client.MustRun("ip", "address", "del", from+"/24", "dev", "out")
	l.Eventually("the client to be elsewhere", 20*time.Second, func() error {
		if sa := w.WaitSAs("blue", 1)[0]; strings.HasPrefix(sa.ChildSAs[0].Remote, from+":") {
			return fmt.Errorf("the child SA is with %s", sa.ChildSAs[0].Remote)
		}
		return nil
	})
	for _, what := range []string{"--child", "--ike"} {
		if out, err := s.Swanctl("--rekey", what, "blue"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		l.Eventually("the rekeying of "+what, 20*time.Second, func() error {
			sa := w.IKESAs("blue")
			if len(sa) != 1 || what == "--ike" && sa[0].SPIi == first.SPIi ||
				len(sa[0].ChildSAs) != 1 || sa[0].ChildSAs[0].SPIIn == first.ChildSAs[0].SPIIn {
				return fmt.Errorf("%v", sa)
			}
			return nil
		})
	}
	wire.Stop()
	out, _, err := client.Output(lab.Command{
		Args: []string{"tshark", "-r", wire.Path(), "-V", "-Y", "isakmp"},
		Env:  []string{"XDG_CONFIG_HOME=" + filepath.Dir(filepath.Dir(config))},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MOBIKE_SUPPORTED", "ADDITIONAL_IP4_ADDRESS", "UPDATE_SA_ADDRESSES", "COOKIE2",
		"REKEY_SA", "Exchange type: CREATE_CHILD_SA (36)", "Payload: Key Exchange", "Payload: Delete"} {
		if !strings.Contains(out, want) {
			t.Errorf("tshark does not see %q", want)
		}
	}
	decoded(t, out, false)
}

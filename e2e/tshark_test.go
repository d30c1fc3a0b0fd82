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
			for line := range strings.Lines(out) {
				if strings.Contains(line, "Malformed") || strings.Contains(line, "[Expert Info (Error") ||
					tt.icv && strings.Contains(line, "ICV:") && strings.Contains(line, "incorrect") {
					t.Errorf("tshark: %s", strings.TrimSpace(line))
				}
			}
			if tt.icv && !strings.Contains(out, "[correct]") {
				t.Error("tshark has checked no ICV")
			}
		})
	}
}

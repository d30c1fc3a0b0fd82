//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestThirdPartyDecodes gives the keys to tshark, which must decrypt both IKE
// and ESP and find nothing malformed.
func TestThirdPartyDecodes(t *testing.T) {
	t.Parallel()
	broad := replace(t, "blue.hcl", policies...)
	tests := []struct {
		name, ike, esp string
		icv            bool // tshark can check the integrity of this ESP
	}{
		{"AES-GCM", "aes256gcm16-prfsha384-x25519", "aes256gcm16", false},
		{"AES-CBC", "aes256-sha256-modp2048", "aes256-sha256", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, n, w := start(t, broad)
			wire := n.Blue.Client.Capture("out")
			conn := n.Blue.Conn()
			conn.Proposals, conn.ESPProposals = tt.ike, tt.esp
			s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{conn}})
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
			for _, want := range []string{
				"alice@blue.example",                // in IDi, encrypted
				"gw.blue.example",                   // in IDr
				"INTERNAL_IP4_ADDRESS",              // in the configuration payload
				"Payload: Traffic Selector",         // TSi and TSr
				"Payload: Delete",                   // in the INFORMATIONAL at the end
				"Internet Control Message Protocol", // inside ESP
				"Src: 10.10.0.53",                   // the host's answer
			} {
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

//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestOffloadSwitches switches every offload off and on again by a reload, under
// an SA that stays and goes on carrying.
func TestOffloadSwitches(t *testing.T) {
	_, n, w := start(t, nil)
	_, inner := client(t, n.Blue)
	spi := w.WaitSAs("blue", 1)[0].ChildSAs[0].SPIIn
	text := lab.File("blue.hcl")
	for _, tt := range []struct{ block, want string }{
		{"gso = false, gro = false", "[tun_tcp tun_udp]"},
		{"tun_offload = false, batching = false", "[gso gro]"},
		{"", "[gso gro tun_tcp tun_udp]"},
	} {
		block := ""
		if tt.block != "" {
			block = "\ndataplane {\n"
			for _, line := range strings.Split(tt.block, ", ") {
				block += "  " + line + "\n"
			}
			block += "}\n"
		}
		w.Write("blue.hcl", text+block)
		w.MustCLI("reload")
		if got := offloads(t, w); fmt.Sprint(got) != tt.want {
			t.Errorf("with %q: %v are in use, want %s", tt.block, got, tt.want)
		}
		n.Blue.Client.MustPing(lab.Ping{From: inner, To: lab.InsideHost, Size: 1200, Count: 10,
			Interval: 10 * time.Millisecond})
		i := lab.Iperf{From: inner, To: lab.InsideHost}
		t.Logf("%q: up %v", tt.block, n.Blue.Client.MustIperf(n.Blue.Host, i))
		i.Reverse = true
		t.Logf("%q: down %v", tt.block, n.Blue.Client.MustIperf(n.Blue.Host, i))
	}
	if got := w.WaitSAs("blue", 1)[0].ChildSAs[0].SPIIn; got != spi {
		t.Errorf("the child SA is now %s, and was %s", got, spi)
	}
}

// offloads are those that blue's data plane uses, but for the crew, which only
// some machines have.
func offloads(t *testing.T, w *lab.Warrend) (names []string) {
	t.Helper()
	var stats struct {
		Stats []struct {
			Offloads []string `json:"offloads"`
		} `json:"ipsec_stats"`
	}
	if err := json.Unmarshal([]byte(w.MustCLI("show", "crypto", "ipsec", "stats", "--context", "blue", "--json")),
		&stats); err != nil {
		t.Fatal(err)
	}
	for _, name := range stats.Stats[0].Offloads {
		if name != "crew" {
			names = append(names, name)
		}
	}
	return names
}

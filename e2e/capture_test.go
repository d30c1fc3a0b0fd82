//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestCapture captures at every place at once while pings and a TCP flow pass,
// and has tshark read what was captured.
func TestCapture(t *testing.T) {
	t.Parallel()
	l, n, w := start(t, nil)
	_, inner := client(t, n.Blue)
	config := l.Path("config", "wireshark", "x")
	w.MustCLI("debug", "export-keys", "--context", "blue", "--dir", filepath.Dir(config))

	files := map[string]string{"outside": l.Path("outside.pcapng"), "inside": l.Path("inside.pcapng"),
		"decrypted": l.Path("decrypted.pcapng")}
	captures := map[string]*lab.Process{}
	for name, file := range files {
		captures[name] = w.StartCLI("capture", "--context", "blue", "--interface", name, "--write", file)
	}
	for _, file := range files {
		captured(l, file, 1)
	}
	n.Blue.Client.MustPing(lab.Ping{From: inner, To: lab.InsideHost, Size: 333, Count: 10,
		Interval: 10 * time.Millisecond})
	t.Log(n.Blue.Client.MustIperf(n.Blue.Host, lab.Iperf{From: inner, To: lab.InsideHost, Seconds: 1, Reverse: true,
		Rate: "40M"}))
	for name, file := range files {
		captured(l, file, 1<<20) // and so the pings, which came before
		captures[name].Signal(os.Interrupt)
		if err := captures[name].Wait(lab.Patience); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %s", name, strings.TrimSpace(captures[name].Log()))
	}

	read := func(file string, args ...string) string {
		t.Helper()
		out, said, err := n.Blue.Client.Output(lab.Command{
			Args: append([]string{"tshark", "-r", file}, args...),
			Env:  []string{"XDG_CONFIG_HOME=" + filepath.Dir(filepath.Dir(config))},
		})
		if err != nil {
			t.Fatal(err, said)
		}
		return out
	}
	for name, file := range files {
		filter := fmt.Sprintf("icmp && ip.addr == %s && ip.len == %d", inner, 20+8+333)
		args := []string{"-Y", filter, "-o", "esp.enable_encryption_decode:TRUE"}
		if got := strings.Count(read(file, args...), "\n"); got < 18 {
			t.Errorf("%s: %d of 20 pings and answers\n%s", name, got, read(file, "-c", "20"))
		}
		if out := read(file, "-Y", "frame.len > 1600"); out != "" {
			t.Errorf("%s has super-packets:\n%.300s", name, out)
		}
		if out := read(file, "-Y", "_ws.malformed"); out != "" {
			t.Errorf("%s: malformed:\n%.300s", name, out)
		}
		if name != "outside" {
			// Where the sum is 0 the kernel writes the same number as 0xffff, in TCP too
			// (skb_checksum_help), which tshark takes for wrong: one packet of 65,536.
			out := read(file, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-Y",
				"ip.checksum.status == 0 || tcp.checksum.status == 0 && tcp.checksum != 0xffff")
			if out != "" {
				t.Errorf("%s has wrong checksums:\n%.300s", name, out)
			}
		}
	}
	child := w.WaitSAs("blue", 1)[0].ChildSAs[0]
	for _, spi := range []string{child.SPIIn, child.SPIOut} {
		if out := read(files["decrypted"], "-Y", fmt.Sprintf("frame.comment contains %q", spi), "-c",
			"2000"); out == "" {
			t.Errorf("decrypted: no packet says that it is of %s", spi)
		}
	}
	if info, err := os.Stat(files["inside"]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a capture has mode %v, %v", info, err)
	}

	var stats struct {
		Stats []map[string]any `json:"ipsec_stats"`
	}
	if err := json.Unmarshal([]byte(w.MustCLI("show", "crypto", "ipsec", "stats", "--context", "blue", "--json")),
		&stats); err != nil {
		t.Fatal(err)
	}
	if len(stats.Stats) != 1 || stats.Stats[0]["context"] != "blue" || stats.Stats[0]["packets_in"] == 0.0 ||
		stats.Stats[0]["bytes_out"].(float64) < 1e6 ||
		stats.Stats[0]["drop_selector"] != 0.0 {
		t.Errorf("stats: %v", stats.Stats)
	}
	_, said, err := w.CLI("capture", "--context", "blue", "--interface", "dmz")
	if lab.ExitCode(err) != 1 || !strings.Contains(said, "decrypted, outside, inside") {
		t.Errorf("no such interface: %v %s", err, said)
	}
}

// TestCaptureOfDeadWorker: the command does not hang, and says what happened.
func TestCaptureOfDeadWorker(t *testing.T) {
	l, _, w := start(t, nil)
	file := l.Path("decrypted.pcapng")
	capture := w.StartCLI("capture", "--context", "blue", "--interface", "decrypted", "--write", file)
	captured(l, file, 1)
	victim, err := os.FindProcess(w.Context("blue").PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := capture.Wait(lab.Patience); lab.ExitCode(err) != 1 || !strings.Contains(capture.Log(), "cut off") {
		t.Errorf("got %v, %s", err, capture.Log())
	}
}

// captured waits until a capture has written so many bytes.
func captured(l *lab.Lab, file string, bytes int64) {
	l.Eventually(file+" to be written", lab.Patience, func() error {
		info, err := os.Stat(file)
		if err == nil && info.Size() < bytes {
			err = fmt.Errorf("it has %d bytes of %d", info.Size(), bytes)
		}
		return err
	})
}

//go:build e2e

package e2e

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestConfigServer has blue's configuration on a server that is good, broken,
// good again, and away when warrend starts.
func TestConfigServer(t *testing.T) {
	t.Parallel()
	l := lab.New(t)
	n := l.TwoTenants()
	var content atomic.Pointer[string]
	sends := func(text string) { content.Store(&text) }
	sends(lab.File("blue.hcl"))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, *content.Load())
	}))
	server.Listener.Close()
	err := n.Gateway.Do(func() (err error) {
		server.Listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := l.WriteFile(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		"ca.pem")
	w := n.StartGateway(replace(t, "system.hcl", `config_url = "file:blue.hcl"`,
		fmt.Sprintf("config_url = \"%s/blue.hcl\"\n  config_ca  = %q\n", server.URL, ca)))
	w.Ready()
	s, address := client(t, n.Blue)
	ping := lab.Ping{From: address, To: lab.InsideHost}

	sends("<!DOCTYPE html><html><body>Log in")
	for _, command := range []string{"reload", "apply", "plan"} {
		if _, stderr, err := w.CLI(command); err == nil ||
			!strings.Contains(stderr, `context "blue": its last good configuration is used`) ||
			!strings.Contains(stderr, "the server sends a web page (HTML); the copy of ") ||
			!strings.Contains(stderr, "--allow-stale") {
			t.Errorf("%s from a web page: %v, %q", command, err, stderr)
		}
	}
	if out, stderr, err := w.CLI("reload", "--allow-stale"); err != nil || out != "nothing has changed\n" ||
		!strings.Contains(stderr, "the server sends a web page (HTML); the copy of ") {
		t.Errorf("reload from a web page: %v, %q, %q", err, out, stderr)
	}
	sends(strings.Replace(lab.File("blue.hcl"), "10.99.0.250", "10.99.0.200", 1))
	if out := w.MustCLI("reload"); !strings.Contains(out, "blue") {
		t.Errorf("reload of a new configuration: %q", out)
	}
	n.Blue.Client.MustPing(ping)
	if out := w.MustCLI("validate", w.Config); !strings.Contains(out, "2 contexts") {
		t.Errorf("validate: %q", out)
	}

	server.Close()
	w.Stop()
	w.Start()
	w.Ready()
	wantLog(t, w, "level=WARN", "context \\\"blue\\\": "+server.URL,
		"the server is away: connection refused; the copy of ")
	s.MustInitiate("blue")
	n.Blue.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})
	if _, stderr, err := w.CLI("validate", w.Config); err == nil || !strings.Contains(stderr, "the server is away") {
		t.Errorf("validate without the server: %v, %q", err, stderr)
	}
}

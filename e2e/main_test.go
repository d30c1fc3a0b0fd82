//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestMain tells in one line each what is missing, instead of letting every
// test fail by itself.
func TestMain(m *testing.M) {
	if lab.InGuest() {
		lab.ServeGuest(m.Run)
		return
	}
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root: these tests make network namespaces")
	}
	for _, program := range []string{"charon-systemd", "swanctl", "tshark", "iperf3", lab.GuestKernel} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (make deps installs it)", program))
		}
	}
	for _, program := range []string{"warrend", "warren-context", "warren"} {
		if _, err := os.Stat(filepath.Join(lab.Bin(), program)); err != nil {
			missing = append(missing, fmt.Sprintf("%s in %s (make build puts it there)", program, lab.Bin()))
		}
	}
	for _, m := range missing {
		fmt.Fprintln(os.Stderr, "e2e: missing:", m)
	}
	if len(missing) > 0 {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// start lays out the two tenants and a gateway that is ready.
func start(t *testing.T, edit func(name, text string) string) (*lab.Lab, *lab.Tenants, *lab.Warrend) {
	t.Helper()
	l := lab.New(t)
	n := l.TwoTenants()
	w := n.StartGateway(edit)
	w.Ready()
	return l, n, w
}

// client starts a strongSwan client of a tenant and connects it.
func client(t *testing.T, tenant lab.Tenant) (*lab.StrongSwan, string) {
	t.Helper()
	s := tenant.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{tenant.Conn()}})
	s.MustInitiate(tenant.Name)
	return s, vip(t, s)
}

// vip is the one address that the gateway gave.
func vip(t *testing.T, s *lab.StrongSwan) string {
	t.Helper()
	v := s.VIPs()
	if len(v) != 1 {
		t.Fatalf("addresses given: got %v, want one\n%s", v, s.Log())
	}
	return v[0]
}

// replace is an edit of one file: each old text, which must be there, by the
// new one that follows it.
func replace(t *testing.T, file string, pairs ...string) func(name, text string) string {
	return func(name, text string) string {
		if name != file {
			return text
		}
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("%s has no %q", file, pairs[i])
			}
			text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
		}
		return text
	}
}

// answers waits for more answers to a ping that is under way.
func answers(l *lab.Lab, p *lab.Pinger, more int) {
	n := p.Received()
	l.Eventually("answers to the ping", lab.Patience, func() error {
		if got := p.Received(); got < n+more {
			return fmt.Errorf("%d of %d", got-n, more)
		}
		return nil
	})
}

// toldOfEnd waits until a client has no IKE SA any more.
func toldOfEnd(l *lab.Lab, what string, s *lab.StrongSwan) {
	l.Eventually(what, lab.Patience, func() error {
		if s.Established() {
			return errors.New("its SA is still there")
		}
		return nil
	})
}

// anotherWorker waits until a context has another worker than before, which is ready.
func anotherWorker(l *lab.Lab, w *lab.Warrend, context string, before lab.ContextRow) (now lab.ContextRow) {
	l.Eventually("another worker of context "+context, lab.Patience, func() error {
		if now = w.Context(context); now.PID == before.PID || now.State != "ready" {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	return now
}

// startKept is start with somebody who keeps descriptors for the daemon, whose programs are in
// bin.
func startKept(t *testing.T, bin string) (*lab.Lab, *lab.Tenants, *lab.Warrend) {
	t.Helper()
	l := lab.New(t)
	n := l.TwoTenants()
	w := n.StartKeptGateway(bin)
	w.Ready()
	return l, n, w
}

// wantLog fails the test where the daemon's log has no line with all words, and
// gets none. What a worker says comes to the log later than what it sends.
func wantLog(t *testing.T, w *lab.Warrend, words ...string) {
	t.Helper()
	if err := w.WaitLine(lab.Patience, words...); err != nil {
		t.Error(err)
	}
}

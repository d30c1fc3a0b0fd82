//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// upgradeLives is how often the supervisor ends in each way.
const upgradeLives = 3

// TestUpgrade ends the supervisor under traffic, by kill -9, by SIGTERM, and for new
// programs: no packet of a tunnel is lost, the workers are the same, and what comes
// after is as before.
func TestUpgrade(t *testing.T) {
	l := lab.New(t)
	n := l.TwoTenants()
	w := n.StartKeptGateway("")
	w.Ready()
	s, vip := client(t, n.Blue)
	wire := n.Blue.Client.Capture("out")
	began := time.Now()
	before := w.Context("blue")
	ping := n.Blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)
	ends := map[string]func(){
		"kill -9":      func() { w.Kill() },
		"SIGTERM":      func() { w.Stop() },
		"new programs": func() { w.Install(); w.Stop() },
	}
	for _, how := range []string{"kill -9", "SIGTERM", "new programs"} {
		for i := range upgradeLives {
			ends[how]()
			w.Start()
			w.Ready()
			if got := w.Context("blue"); got.PID != before.PID || got.State != "ready" || got.Restarts != 0 {
				t.Errorf("%s %d: got %+v, want %+v", how, i+1, got, before)
			}
			answers(l, ping, 10)
		}
	}
	if r := ping.Stop(); r.Lost() > 0 || r.Err != nil {
		t.Errorf("the tunnel: %v", r)
	} else {
		t.Logf("%v", r)
	}
	if got := wire.Inits(began); got != 0 {
		t.Errorf("new IKE_SA_INITs: got %d, want 0", got)
	}

	// A worker that has outlived its supervisor is replaced like any other.
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.Eventually("a new worker", 10*time.Second, func() error {
		if c := w.Context("blue"); c.PID == before.PID || c.State != "ready" || c.Restarts != 1 {
			return fmt.Errorf("context blue: %+v", c)
		}
		return nil
	})
	n.Blue.Client.MustPing(lab.Ping{From: vip, To: lab.InsideHost})
	if err := s.Rekey("blue", false); err != nil {
		t.Error(err)
	}
	out := w.MustCLI("restart", "blue")
	if !strings.HasPrefix(out, "context blue has a new worker") {
		t.Errorf("restart: %q", out)
	}
	n.Blue.Client.MustPing(lab.Ping{From: vip, To: lab.InsideHost})
	old := w.WaitSAs("blue", 1)[0]
	w.MustCLI("rekey", "--peer", lab.OutsideClient, "blue")
	l.Eventually("new keys", 10*time.Second, func() error {
		now := w.WaitSAs("blue", 1)[0]
		if now.SPIr == old.SPIr || now.ChildSAs[0].SPIIn == old.ChildSAs[0].SPIIn {
			return fmt.Errorf("the SPIs are %s and %s still", now.SPIr, now.ChildSAs[0].SPIIn)
		}
		return nil
	})
	n.Blue.Client.MustPing(lab.Ping{From: vip, To: lab.InsideHost})
	w.Shutdown()
	l.Eventually("the client to see the DELETE", 5*time.Second, func() error {
		if s.Established() {
			return fmt.Errorf("its SA is still there")
		}
		return nil
	})
	if got := w.Kept(); len(got) > 0 {
		t.Errorf("after the end there is kept: %v", got)
	}
}

// TestUpgradeFromBase upgrades from the build before, and goes back: what one build keeps of a
// worker the other one takes up, and no packet of a tunnel is lost. A worker is of the build
// that has started it until it is replaced.
func TestUpgradeFromBase(t *testing.T) {
	base, tree := lab.UpgradeBase(t), lab.Bin()
	l := lab.New(t)
	n := l.TwoTenants()
	w := n.StartKeptGateway(base)
	w.Ready()
	_, vip := client(t, n.Blue)
	before := w.Context("blue")
	ping := n.Blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)
	for _, life := range []struct {
		bin  string
		ends func()
	}{{tree, w.Stop}, {base, w.Stop}, {tree, func() { w.Kill() }}} {
		life.ends()
		w.Use(life.bin)
		w.Start()
		w.Ready()
		if got := w.Context("blue"); got.PID != before.PID || got.State != "ready" || got.Restarts != 0 {
			t.Errorf("%s: got %+v, want %+v", life.bin, got, before)
		}
		answers(l, ping, 10)
	}
	if r := ping.Stop(); r.Lost() > 0 || r.Err != nil {
		t.Errorf("the tunnel: %v", r)
	}
	w.MustCLI("restart", "blue")
	l.Eventually("a worker of the new build", 10*time.Second, func() error {
		if c := w.Context("blue"); c.PID == before.PID || c.State != "ready" {
			return fmt.Errorf("context blue: %+v", c)
		}
		return nil
	})
	n.Blue.Client.MustPing(lab.Ping{From: vip, To: lab.InsideHost})
}

// TestUpgradeEnds: what ends meanwhile. The next supervisor makes of its configuration
// what it can: a context that is no longer there says goodbye, one that has changed is
// changed in place. Where the keeper lets go, workers end by themselves, with a goodbye
// behind SIGTERM, and what they had is given back to the next supervisor.
func TestUpgradeEnds(t *testing.T) {
	l := lab.New(t)
	n := l.TwoTenants()
	w := n.StartKeptGateway("")
	w.Ready()
	blue, vip := client(t, n.Blue)
	red, _ := client(t, n.Red)
	gone := func(what string, s *lab.StrongSwan) {
		t.Helper()
		l.Eventually(what, 10*time.Second, func() error {
			if s.Established() {
				return fmt.Errorf("its SA is still there")
			}
			return nil
		})
	}
	before := w.Context("blue")
	ping := n.Blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 10)
	w.Kill()
	text, _, _ := strings.Cut(lab.File("system.hcl"), `context "red"`)
	w.WriteSystem(text)
	w.Write("blue.hcl", strings.Replace(lab.File("blue.hcl"), `["10.10.0.53"]`, `["10.10.0.54"]`, 1))
	w.Start()
	w.Ready()
	if got := w.Context("blue"); got.PID != before.PID {
		t.Errorf("the context that has changed: got %+v, want %+v", got, before)
	}
	answers(l, ping, 10)
	if r := ping.Stop(); r.Lost() > 0 {
		t.Errorf("the context that has changed: %v", r)
	}
	gone("the client of the context that is gone to see the DELETE", red)
	if out := w.MustCLI("show", "running-config", "--context", "blue"); !strings.Contains(out, "10.10.0.54") {
		t.Errorf("it runs:\n%s", out)
	}

	w.Stop()
	w.DropKept()
	gone("the client to see the DELETE of a worker on its own", blue)
	gonePIDs(t, l, before.PID)
	w.Start()
	w.Ready()
	blue.MustInitiate("blue")
	again := w.Context("blue")
	w.Kill()
	w.DropKept()
	gonePIDs(t, l, again.PID)
	w.Start()
	w.Ready()
	if got := w.Context("blue"); got.PID == again.PID || got.State != "ready" {
		t.Errorf("afterwards: %+v", got)
	}
}

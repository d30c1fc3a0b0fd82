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

// ending is a way in which a supervisor ends that is followed by another one.
type ending struct {
	how string
	end func()
}

// endings are all such ways.
func endings(w *lab.Warrend) []ending {
	return []ending{
		{"kill -9", func() { w.Kill() }},
		{"SIGTERM", func() { w.Stop() }},
		{"new programs", func() { w.Install(); w.Stop() }},
	}
}

// builds are the lives of a supervisor that follow one of the build base: it is upgraded, goes
// back, and is upgraded again.
func builds(w *lab.Warrend, base string) []ending {
	tree := lab.Bin()
	return []ending{
		{tree, func() { w.Stop(); w.Use(tree) }},
		{base, func() { w.Stop(); w.Use(base) }},
		{tree, func() { w.Kill(); w.Use(tree) }},
	}
}

// sameWorker fails the test where a context has another worker than before.
func sameWorker(t *testing.T, what string, got, before lab.ContextRow) {
	t.Helper()
	if got.PID != before.PID || got.State != "ready" || got.Restarts != 0 {
		t.Errorf("%s: got %+v, want %+v", what, got, before)
	}
}

// noneLost ends a ping and fails the test where the tunnel has lost a packet.
func noneLost(t *testing.T, ping *lab.Pinger) {
	t.Helper()
	if r := ping.Stop(); r.Lost() > 0 || r.Err != nil {
		t.Errorf("the tunnel: %v", r)
	} else {
		t.Logf("the tunnel: %v", r)
	}
}

// TestUpgrade ends the supervisor under traffic, by kill -9, by SIGTERM, and for new
// programs: no packet of a tunnel is lost, the workers are the same, and what comes
// after is as before.
func TestUpgrade(t *testing.T) {
	l, n, w := startKept(t, "")
	s, vip := client(t, n.Blue)
	wire := n.Blue.Client.Capture("out")
	began := time.Now()
	before := w.Context("blue")
	ping := n.Blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)
	for _, e := range endings(w) {
		for i := range upgradeLives {
			e.end()
			w.Start()
			w.Ready()
			sameWorker(t, fmt.Sprintf("%s %d", e.how, i+1), w.Context("blue"), before)
			answers(l, ping, 10)
		}
	}
	noneLost(t, ping)
	if got := wire.Inits(began); got != 0 {
		t.Errorf("new IKE_SA_INITs: got %d, want 0", got)
	}

	// A worker that has outlived its supervisor is replaced like any other.
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if c := anotherWorker(l, w, "blue", before); c.Restarts != before.Restarts+1 {
		t.Errorf("the new worker: %+v, the one before: %+v", c, before)
	}
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
	toldOfEnd(l, "the client to see the DELETE", s)
	if got := w.Kept(); len(got) > 0 {
		t.Errorf("after the end there is kept: %v", got)
	}
}

// TestUpgradeFromBase upgrades from the build before, and goes back: what one build keeps of a
// worker the other one takes up, and no packet of a tunnel is lost. A worker is of the build
// that has started it until it is replaced.
func TestUpgradeFromBase(t *testing.T) {
	base := lab.UpgradeBase(t)
	l, n, w := startKept(t, base)
	_, vip := client(t, n.Blue)
	before := w.Context("blue")
	ping := n.Blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)
	for _, life := range builds(w, base) {
		life.end()
		w.Start()
		w.Ready()
		sameWorker(t, life.how, w.Context("blue"), before)
		answers(l, ping, 10)
	}
	noneLost(t, ping)
	w.MustCLI("restart", "blue")
	anotherWorker(l, w, "blue", before)
	n.Blue.Client.MustPing(lab.Ping{From: vip, To: lab.InsideHost})
}

// TestUpgradeEnds: what ends meanwhile. The next supervisor makes of its configuration
// what it can: a context that is no longer there says goodbye, one that has changed is
// changed in place. Where the keeper lets go, workers end by themselves, with a goodbye
// behind SIGTERM, and what they had is given back to the next supervisor.
func TestUpgradeEnds(t *testing.T) {
	l, n, w := startKept(t, "")
	blue, vip := client(t, n.Blue)
	red, _ := client(t, n.Red)
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
	toldOfEnd(l, "the client of the context that is gone to see the DELETE", red)
	if out := w.MustCLI("show", "running-config", "--context", "blue"); !strings.Contains(out, "10.10.0.54") {
		t.Errorf("it runs:\n%s", out)
	}

	w.Stop()
	w.DropKept()
	toldOfEnd(l, "the client to see the DELETE of a worker on its own", blue)
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

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestWorkerKilled kills a worker with -9, several times, and by deleting its TUN
// device: its client's ping goes on without a new IKE_SA_INIT, and the other tenant
// does not notice.
func TestWorkerKilled(t *testing.T) {
	l, n, w := start(t, nil)
	s, blueVIP := client(t, n.Blue)
	_, redVIP := client(t, n.Red)
	wire := n.Blue.Client.Capture("out")
	ping := lab.Ping{To: lab.InsideHost, Interval: 10 * time.Millisecond}
	ping.From = redVIP
	red := n.Red.Client.StartPing(ping)
	redBefore := w.Context("red")
	began := time.Now()
	for i := range 4 {
		ping.From = blueVIP
		blue := n.Blue.Client.StartPing(ping)
		answers(l, blue, 20)
		before := w.Context("blue")
		if i == 3 {
			w.Namespace("blue").MustRun("ip", "link", "del", "ipsec0")
		} else if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if c := anotherWorker(l, w, "blue", before); c.Restarts != before.Restarts+1 {
			t.Errorf("the new worker: %+v, the one before: %+v", c, before)
		}
		answers(l, blue, 50)
		r := blue.Stop()
		t.Logf("kill %d: %v", i+1, r)
		if r.Outage >= silence {
			t.Errorf("kill %d: silent for %v, want less than %v", i+1, r.Outage, silence)
		}
	}
	if got := wire.Inits(began); got != 0 {
		t.Errorf("new IKE_SA_INITs: got %d, want 0", got)
	}
	if r := red.Stop(); r.Lost() > 0 {
		t.Errorf("the other tenant noticed: %v", r)
	}
	if got := w.Context("red"); got != redBefore {
		t.Errorf("the other tenant: got %+v, want %+v", got, redBefore)
	}
	if got := wire.Packets(func(p lab.Packet) bool { return p.SPI != 0 }); lab.Reused(got) != "" {
		t.Errorf("an ESP sequence number was used twice: %s", lab.Reused(got))
	}

	// The IKE SA lives, too: its next exchanges work in both directions.
	if err := s.Rekey("blue", false); err != nil {
		t.Error(err)
	}
	n.Blue.Client.MustPing(lab.Ping{From: blueVIP, To: lab.InsideHost})
	w.MustCLI("logoff", "--context", "blue", "--all")
	toldOfEnd(l, "the client to see the DELETE", s)
}

// TestWorkerStopped stops a worker (SIGSTOP): the status says within moments that
// it does not answer, and another one goes on with the same SAs.
func TestWorkerStopped(t *testing.T) {
	l, n, w := start(t, nil)
	_, blueVIP := client(t, n.Blue)
	wire := n.Blue.Client.Capture("out")
	began := time.Now()
	ping := n.Blue.Client.StartPing(lab.Ping{From: blueVIP, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)
	before := w.Context("blue")
	if err := syscall.Kill(before.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	anotherWorker(l, w, "blue", before)
	answers(l, ping, 50)
	r := ping.Stop()
	t.Logf("%v", r)
	if r.Outage >= hangNoticed {
		t.Errorf("silent for %v, want less than %v", r.Outage, hangNoticed)
	}
	if got := wire.Inits(began); got != 0 {
		t.Errorf("new IKE_SA_INITs: got %d, want 0", got)
	}
	wantLog(t, w, "the worker does not answer")
}

// TestLinkOfOneTenant: a link that goes down is told by the status, its exit status
// and the log; with it returns what the kernel has taken away. A reload sets a link
// up that somebody has set down. The SA stays.
func TestLinkOfOneTenant(t *testing.T) {
	l, n, w := start(t, nil)
	_, address := client(t, n.Blue)
	ping := lab.Ping{From: address, To: lab.InsideHost}
	n.Blue.Client.MustPing(ping)
	inside := w.Namespace("blue")
	lost := func() {
		t.Helper()
		l.Eventually("the status to say that the link is down", time.Minute, func() error {
			_, stderr, err := w.CLI("status")
			if lab.ExitCode(err) != 1 ||
				!strings.Contains(stderr, `context "blue": interface outside: its device is down`) {
				return fmt.Errorf("%v, %q", err, stderr)
			}
			return nil
		})
	}
	for _, repair := range []func(){
		func() { inside.MustRun("ip", "link", "set", "outside", "up") },
		func() {
			if out := w.MustCLI("reload"); !strings.Contains(out, `restore context "blue": interface outside is back`) {
				t.Errorf("reload: %s", out)
			}
		},
	} {
		inside.MustRun("ip", "link", "set", "outside", "down")
		lost()
		repair()
		l.Eventually("everything to be well", time.Minute, func() error {
			_, stderr, err := w.CLI("status")
			if err != nil {
				return fmt.Errorf("%w: %s", err, stderr)
			}
			return nil
		})
		n.Blue.Client.MustPing(ping)
	}
	for _, want := range []string{"interface lost", "interface is back"} {
		l.Eventually(want+" to be in the log twice", lab.Patience, func() error {
			if got := strings.Count(w.Log(), want); got != 2 {
				return fmt.Errorf("it is %d times", got)
			}
			return nil
		})
	}
}

// hostState is what a daemon must leave as it found it.
type hostState struct {
	Links     []string
	Addresses []string
	Leftovers []string // of the daemon on the host
}

// state is how the host is; w may be nil when no daemon has been there.
func state(n *lab.Namespace, w *lab.Warrend) hostState {
	h := hostState{Links: n.Links()}
	for _, a := range n.Addresses() {
		h.Addresses = append(h.Addresses, a.String())
	}
	slices.Sort(h.Addresses)
	if w != nil {
		h.Leftovers = lab.Leftovers(w.System)
	}
	return h
}

// furnish gives the devices of the gateway what they must have again afterwards.
func furnish(n *lab.Tenants) hostState {
	n.Gateway.Address(n.Blue.Outside, "192.0.2.77/24", "2001:db8:77::1/64")
	n.Gateway.MTU(n.Blue.Outside, 1480)
	n.Gateway.MustRun("ip", "link", "set", n.Red.Outside, "address", "02:00:00:00:77:01")
	n.Gateway.Down(n.Red.Outside)
	return state(n.Gateway, nil)
}

// TestStopLeavesTheHost stops the daemon and looks for what it left.
func TestStopLeavesTheHost(t *testing.T) {
	l := lab.New(t)
	n := l.TwoTenants()
	before := furnish(n)
	w := n.StartGateway(nil)
	w.Ready()
	s, address := client(t, n.Blue)
	workers := w.Workers()
	if len(workers) != 2 {
		t.Errorf("workers: got pids %v, want two", workers)
	}
	checkUnprivileged(t, workers)

	w.Signal(syscall.SIGTERM)
	if err := w.Wait(lab.Patience); err != nil {
		t.Fatalf("on SIGTERM: %v\n%s", err, w.Log())
	}
	if diff := cmp.Diff(before, state(n.Gateway, w)); diff != "" {
		t.Errorf("after SIGTERM (-before +after):\n%s", diff)
	}
	gonePIDs(t, l, workers...)
	if left, err := os.ReadDir(strings.TrimSuffix(w.Config, "system.hcl") + "run"); err == nil && len(left) > 0 {
		t.Errorf("run_dir: got %v, want nothing in it", left)
	}
	toldOfEnd(l, "the client to be told", s)

	w.Start()
	w.Ready()
	s.MustInitiate("blue")
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
}

// checkUnprivileged fails the test for a worker that is root or has a
// capability.
func checkUnprivileged(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Error(err)
			continue
		}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields := strings.Fields(value)
			switch name {
			case "Uid", "Gid":
				if slices.Contains(fields, "0") {
					t.Errorf("worker %d: %s is %v", pid, name, fields)
				}
			case "CapEff", "CapPrm", "CapInh", "CapAmb":
				if strings.Trim(fields[0], "0") != "" {
					t.Errorf("worker %d: %s is %v", pid, name, fields)
				}
			case "NoNewPrivs":
				if fields[0] != "1" {
					t.Errorf("worker %d may gain privileges", pid)
				}
			}
		}
	}
}

// gonePIDs waits for the end of processes; whoever has inherited one reaps it.
func gonePIDs(t *testing.T, l *lab.Lab, pids ...int) {
	t.Helper()
	l.Eventually("the workers to end", lab.Patience, func() error {
		for _, pid := range pids {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err == nil && !strings.Contains(string(b), ") Z ") {
				return fmt.Errorf("process %d still runs", pid)
			}
		}
		return nil
	})
}

// TestSupervisorKilled kills warrend with -9; the next start serves again, and
// its end leaves the host as it was before the first.
func TestSupervisorKilled(t *testing.T) {
	l := lab.New(t)
	n := l.TwoTenants()
	before := furnish(n)
	w := n.StartGateway(nil)
	w.Ready()
	s, _ := client(t, n.Blue)
	workers := w.Workers()
	w.Kill()
	gonePIDs(t, l, workers...)

	w.Start()
	w.Ready()
	s.Kill()
	s, address := client(t, n.Blue)
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
	if err := s.Terminate("blue"); err != nil {
		t.Error(err)
	}
	w.Stop()
	if diff := cmp.Diff(before, state(n.Gateway, w)); diff != "" {
		t.Errorf("after SIGTERM (-before +after):\n%s", diff)
	}
}

// TestSecondSupervisor starts a second warrend on the same run_dir.
func TestSecondSupervisor(t *testing.T) {
	_, n, w := start(t, nil)
	second := w.Second()
	if err := second.Wait(lab.Patience); err == nil || second.Running() {
		t.Errorf("the second warrend: got %v, want it to refuse", err)
	}
	if log := second.Log(); !strings.Contains(log, "run_dir") && !strings.Contains(log, "already") {
		t.Errorf("the second warrend does not say why it refuses:\n%s", log)
	}
	_, address := client(t, n.Blue)
	n.Blue.Client.MustPing(lab.Ping{From: address, To: lab.InsideHost})
}

// TestReload changes one context, then breaks its file.
func TestReload(t *testing.T) {
	l, n, w := start(t, nil)
	_, blueVIP := client(t, n.Blue)
	s, _ := client(t, n.Red)
	before := w.Context("blue")
	sa := w.WaitSAs("blue", 1)[0].SPIr
	ping := n.Blue.Client.StartPing(lab.Ping{From: blueVIP, To: lab.InsideHost, Interval: 10 * time.Millisecond})

	w.Write("red.hcl", strings.ReplaceAll(lab.File("red.hcl"), "10.99.0.10-10.99.0.250", "10.99.7.10-10.99.7.250"))
	w.MustCLI("reload")
	w.Ready()
	if err := s.Terminate("red"); err != nil {
		t.Logf("red's old SA: %v", err)
	}
	s.MustInitiate("red")
	if got := vip(t, s); !strings.HasPrefix(got, "10.99.7.") {
		t.Errorf("red's new pool: got %s, want one of 10.99.7.0/24", got)
	}

	changed := lab.File("red.hcl") + "\ntunel_group \"x\" {}\n"
	w.Write("red.hcl", changed)
	_, stderr, err := w.CLI("reload")
	if lab.ExitCode(err) != 1 || !strings.Contains(stderr, "red.hcl:") || !strings.Contains(stderr, "tunnel_group") {
		t.Errorf("reload of a broken file: got exit code %d and %q, want 1, the place and a suggestion",
			lab.ExitCode(err), stderr)
	}
	n.Red.Client.MustPing(lab.Ping{From: vip(t, s), To: lab.InsideHost})

	w.Write("red.hcl", lab.File("red.hcl"))
	w.Signal(syscall.SIGHUP)
	l.Eventually("SIGHUP to reload", 10*time.Second, func() error {
		if err := s.Terminate("red"); err != nil {
			t.Logf("red: %v", err)
		}
		if err := s.Initiate("red", 5*time.Second); err != nil {
			return err
		}
		if got := s.VIPs(); len(got) != 1 || !strings.HasPrefix(got[0], "10.99.0.") {
			return fmt.Errorf("red has %v", got)
		}
		return nil
	})

	answers(l, ping, 20)
	if r := ping.Stop(); r.Lost() > 0 {
		t.Errorf("blue noticed: %v", r)
	}
	if got := w.Context("blue"); got != before {
		t.Errorf("blue: got %+v, want %+v", got, before)
	}
	if got := w.WaitSAs("blue", 1)[0].SPIr; got != sa {
		t.Errorf("blue's SA: got %s, want %s", got, sa)
	}
}

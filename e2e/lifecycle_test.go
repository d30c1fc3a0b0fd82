//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/lab"
)

// greenTenant is a context that joins and leaves.
const greenTenant = `
interface "outside" { address = "192.0.2.1/24" }
ip_pool "staff" { range = "10.97.0.10-10.97.0.250" }
`

// greenBlock is its place in the system file.
const greenBlock = `
interface "Ethernet3/1" { device = "wg-out" }
context "green" {
  member     = "bronze"
  config_url = "file:green.hcl"
  allocate_interface "Ethernet3/1" { name = "outside" }
}
`

// TestLifeCycle adds, changes, suspends, removes and rolls back contexts, and lets
// a change fail in its middle, while another context carries iperf3: its SAs, its
// worker and its traffic do not notice.
func TestLifeCycle(t *testing.T) {
	l, n, w := start(t, nil)
	peer := l.Namespace("green-peer")
	l.Veth(n.Gateway, "wg-out", peer, "out")
	n.Gateway.Bridge("wg-bridge") // a kind of device that the kernel moves nowhere
	_, blueVIP := client(t, n.Blue)
	redClient, _ := client(t, n.Red)
	blue, red := w.Context("blue"), w.Context("red")
	blueSA, redSA := w.WaitSAs("blue", 1)[0], w.WaitSAs("red", 1)[0]
	devices := n.Gateway.Devices()
	const seconds = 18
	began := time.Now()
	load := n.Blue.Client.StartIperf(n.Blue.Host, lab.Iperf{From: blueVIP, To: lab.InsideHost, Seconds: seconds})

	// Add.
	system := lab.File("system.hcl")
	w.WriteSystem(system + greenBlock)
	w.Write("green.hcl", greenTenant)
	if plan := w.MustCLI("plan"); !strings.Contains(plan, `create context "green": it is new`) ||
		strings.Contains(plan, "blue") {
		t.Errorf("plan:\n%s", plan)
	}
	w.MustCLI("apply", "--comment", "green joins")
	w.Ready()
	green := w.Context("green")

	// Fail in the middle: red was configured before.
	w.WriteSystem(strings.Replace(system+greenBlock, `allocate_interface "Ethernet3/1"`,
		"suspended = true\n  allocate_interface \"Ethernet3/1\"", 1) + `
interface "Ethernet4/1" { device = "wg-bridge" }
context "grey" {
  member     = "bronze"
  config_url = "file:grey.hcl"
  allocate_interface "Ethernet4/1" { name = "outside" }
}
`)
	w.Write("grey.hcl", greenTenant)
	w.Write("red.hcl", strings.ReplaceAll(lab.File("red.hcl"), "10.99.0.250", "10.99.0.99"))
	_, stderr, err := w.CLI("apply")
	if lab.ExitCode(err) != 1 || !strings.Contains(stderr, `nothing was changed: context "grey": `) {
		t.Errorf("a device that cannot be moved: exit code %d, %s", lab.ExitCode(err), stderr)
	}
	if got := w.Context("green"); got.State != "ready" || got.PID != green.PID {
		t.Errorf("green: got %+v, want %+v", got, green)
	}
	if running := w.MustCLI("show", "running-config", "--context", "red"); !strings.Contains(running, "10.99.0.250") {
		t.Errorf("red runs with\n%s", running)
	}

	// Change red in place, suspend green: its device comes back.
	w.WriteSystem(strings.Replace(system+greenBlock, `allocate_interface "Ethernet3/1"`,
		"suspended = true\n  allocate_interface \"Ethernet3/1\"", 1))
	w.MustCLI("apply")
	w.Ready()
	if got := w.Context("green"); got.State != "suspended" || got.PID != 0 {
		t.Errorf("green: got %+v, want it suspended", got)
	}
	if got := w.WaitSAs("red", 1)[0]; got.SPIr != redSA.SPIr || w.Context("red").PID != red.PID {
		t.Errorf("red was changed in place: its SA was %s, is %s", redSA.SPIr, got.SPIr)
	}
	if got := n.Gateway.Devices(); !sameDevices(got, devices) {
		t.Errorf("devices: got %v, want %v", got, devices)
	}

	// Suspend red: its client is told. Not confirmed, so it comes back.
	w.WriteSystem(strings.Replace(system, `member     = "bronze"`, "member     = \"bronze\"\n  suspended  = true", 1))
	if plan := w.MustCLI("plan"); !strings.Contains(plan, `suspend context "red"`) {
		t.Errorf("plan:\n%s", plan)
	}
	w.MustCLI("apply", "--confirm", "3s")
	toldOfEnd(l, "red's client to see the DELETE", redClient)
	l.Eventually("what was not confirmed to be rolled back", 10*time.Second, func() error {
		if got := w.Context("red"); got.State != "ready" || got.PID == red.PID {
			return fmt.Errorf("red is %+v", got)
		}
		return nil
	})

	// Back to the first version, in the files as well.
	w.MustCLI("rollback", "1")
	if diff := w.MustCLI("diff"); !strings.Contains(diff, "suspended") {
		t.Errorf("diff after a rollback:\n%s", diff)
	}
	w.MustCLI("write", "memory")
	if diff := w.MustCLI("diff"); diff != "" {
		t.Errorf("diff after write memory:\n%s", diff)
	}
	w.Ready() // nothing is left of the version that was not confirmed
	if took := time.Since(began); took > seconds*time.Second {
		t.Logf("the changes took %v, longer than the traffic", took)
	}

	r, err := load.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("blue meanwhile: %v", r)
	if got := w.Context("blue"); got != blue {
		t.Errorf("blue: got %+v, want %+v", got, blue)
	}
	if diff := cmp.Diff(sas(blueSA), sas(w.WaitSAs("blue", 1)[0])); diff != "" {
		t.Errorf("blue's SAs (-before +after):\n%s", diff)
	}
	redClient.MustInitiate("red")
	if history := w.MustCLI("show", "history"); strings.Count(history, "rollback") < 2 ||
		!strings.Contains(history, "green joins") {
		t.Errorf("history:\n%s", history)
	}
}

func sameDevices(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// sas are the SPIs of an IKE SA and its child SAs.
func sas(s lab.IKESA) []string {
	list := []string{s.SPIi, s.SPIr}
	for _, c := range s.ChildSAs {
		list = append(list, c.SPIIn, c.SPIOut)
	}
	return list
}

// TestConfirmAfterRestart: warrend is killed while a configuration waits to be
// confirmed; when it starts again in time it can be, and too late it is gone.
func TestConfirmAfterRestart(t *testing.T) {
	l, _, w := start(t, nil)
	original := lab.File("red.hcl")
	changed := strings.ReplaceAll(original, "10.99.0.250", "10.99.0.99")
	runs := func(what string) bool {
		return strings.Contains(w.MustCLI("show", "running-config", "--context", "red"), what)
	}

	w.Write("red.hcl", changed)
	w.MustCLI("apply", "--confirm", "1h")
	w.Kill()
	w.Start()
	w.Ready()
	if !runs("10.99.0.99") {
		t.Error("before the deadline it does not run")
	}
	if out := w.MustCLI("confirm"); !strings.Contains(out, "version 2 stays") {
		t.Errorf("confirm: %s", out)
	}

	w.Write("red.hcl", original)
	const deadline = 5 * time.Second // so that nothing is rolled back before the kill
	w.MustCLI("apply", "--confirm", deadline.String())
	w.Kill()
	time.Sleep(deadline) // it began before
	w.Start()
	l.Eventually("the status to say what runs", 10*time.Second, func() error {
		stdout, stderr, err := w.CLI("status")
		if lab.ExitCode(err) != 1 || !strings.Contains(stdout, "2 of 2 contexts ready") ||
			!strings.Contains(stderr, "was not confirmed in time") {
			return fmt.Errorf("%v: %s%s", err, stdout, stderr)
		}
		return nil
	})
	if !runs("10.99.0.99") {
		t.Error("after the deadline the version before does not run")
	}
	if _, stderr, err := w.CLI("confirm"); lab.ExitCode(err) != 1 ||
		!strings.Contains(stderr, "nothing waits to be confirmed") {
		t.Errorf("confirm too late: %v, %s", err, stderr)
	}
}

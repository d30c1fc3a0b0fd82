//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestUpgradeInterfaces changes interfaces in the configuration while there is no supervisor:
// the next one makes of that what a reload would. A context whose interfaces have changed says
// goodbye and is built anew, one that is gone ends, a new one gets at once what the others
// have left, and the tunnels of all others lose no packet.
func TestUpgradeInterfaces(t *testing.T) {
	l, n, w := startKept(t, "")
	_, vip := client(t, n.Blue)
	red, _ := client(t, n.Red)
	blue := w.Context("blue")
	ping := n.Blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)

	system, file := lab.File("system.hcl"), lab.File("red.hcl")
	const inside = "interface \"inside\" { address = \"10.10.0.1/24\" }\n"
	steps := []struct {
		name        string
		end         func()
		system, red string // what is written meanwhile
		devices     string // of red's namespace
		reached     bool   // its client reaches it before
	}{
		{"another address", func() { w.Kill() }, system, swap(t, file, inside, swap(t, inside, "0.1/24", "0.2/24")),
			"inside outside", true},
		{"an interface less, and a new context that has it", func() { w.Stop() },
			swap(t, system, `  allocate_interface "Ethernet2/2" { name = "inside" }`, "") + `
context "green" {
  member     = "bronze"
  config_url = "file:green.hcl"
  allocate_interface "Ethernet2/2" { name = "outside" }
}
`, swap(t, file, inside, ""), "outside", true},
		{"an interface more", func() { w.Kill() }, system, file, "inside outside", true},
		{"other devices", func() { w.Kill() }, swap(t, swap(t, system, "wr-out", "wr-new"), "wr-in", "wr-out"), file,
			"inside outside", true},
		{"the devices as before", func() { w.Stop() }, system, file, "inside outside", false},
	}
	w.Write("green.hcl", shared("green", "192.0.2.1"))
	l.Veth(n.Gateway, "wr-new", n.Red.Host, "spare")
	for _, s := range steps {
		before := w.Context("red")
		if s.reached && !red.Established() {
			red.MustInitiate("red")
		}
		s.end()
		w.WriteSystem(s.system)
		w.Write("red.hcl", s.red)
		w.Start()
		w.Ready()
		sameWorker(t, s.name+": the other context", w.Context("blue"), blue)
		if got := w.Context("red"); got.PID == before.PID || got.State != "ready" || got.Restarts != 0 {
			t.Errorf("%s: got %+v, want another worker than %+v", s.name, got, before)
		}
		if strings.Contains(s.system, "green") {
			if got := w.Context("green"); got.State != "ready" {
				t.Errorf("%s: the new context: %+v", s.name, got)
			}
		}
		if got := devicesOf(n.Gateway, w.System+"-red"); got != s.devices {
			t.Errorf("%s: the devices: got %s, want %s", s.name, got, s.devices)
		}
		toldOfEnd(l, s.name+": the client to see the DELETE", red)
		if log := w.Log(); strings.Contains(log, "context cannot start") {
			t.Errorf("%s: a context could not start at first:\n%s", s.name, log)
		}
		answers(l, ping, 10)
	}
	noneLost(t, ping)
	n.Gateway.MustRun("ip", "link", "show", "wr-new") // it has come home
	red.MustInitiate("red")
}

// swap replaces what must be in a text.
func swap(t *testing.T, text, old, by string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	return strings.Replace(text, old, by, 1)
}

// devicesOf are the names of the data devices in a namespace.
func devicesOf(host *lab.Namespace, name string) string {
	var list []string
	for line := range strings.Lines(host.MustRun("ip", "-n", name, "-br", "link")) {
		device, _, _ := strings.Cut(strings.Fields(line)[0], "@")
		if device == "outside" || device == "inside" {
			list = append(list, device)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

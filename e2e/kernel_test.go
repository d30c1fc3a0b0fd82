//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestKernelIsPutRight takes from a context, whose outside is a macvlan, what others
// may take while a client's ping runs through its tunnel: the ping goes on by itself
// each time, and the client never begins anew.
func TestKernelIsPutRight(t *testing.T) {
	l := lab.New(t)
	gateway, hub := l.Namespace("gateway"), l.Namespace("hub")
	blue := lab.Tenant{Name: "blue", Outside: "out", Identity: "alice@blue.example",
		Client: l.Namespace("client"), Host: l.Namespace("host")}
	l.Veth(gateway, "out", hub, "gw")
	l.Veth(hub, "cl", blue.Client, "out")
	l.Veth(gateway, "in", blue.Host, "in")
	hub.Bridge("switch", "gw", "cl")
	blue.Client.Address("out", lab.OutsideClient+"/24")
	blue.Client.Tripwire("out", lab.TenantsInside...)
	blue.Host.Address("in", lab.InsideHost+"/24")
	blue.Host.Route("0.0.0.0/0", lab.InsideGateway)
	w := gateway.Warrend(lab.WarrendConfig{
		System: `
interface "Ethernet1/1" {
  device = "out"
  shared = true
}
interface "Ethernet1/2" { device = "in" }
context "blue" {
  config_url = "file:blue.hcl"
  allocate_interface "Ethernet1/1" { name = "outside" }
  allocate_interface "Ethernet1/2" { name = "inside" }
}
`,
		Files: map[string]string{"blue.hcl": lab.File("blue.hcl")},
	})
	w.Ready()
	s, vip := client(t, blue)
	inside, name := w.Namespace("blue"), w.System+"-blue"
	wire := blue.Client.Capture("out")
	began := time.Now()
	ping := blue.Client.StartPing(lab.Ping{From: vip, To: lab.InsideHost, Interval: 10 * time.Millisecond})
	answers(l, ping, 20)
	worker := w.Context("blue").PID
	for _, loss := range []struct {
		what string
		take func()
	}{
		{"the parent goes down and up", func() { gateway.Down("out"); gateway.Up("out") }},
		{"the parent is deleted and made again", func() {
			gateway.MustRun("ip", "link", "del", "out")
			l.Veth(gateway, "out", hub, "gw")
			hub.MustRun("ip", "link", "set", "gw", "master", "switch")
		}},
		{"the device is deleted", func() { inside.MustRun("ip", "link", "del", "outside") }},
		{"the device of hardware is moved out", func() {
			inside.MustRun("ip", "link", "set", "inside", "netns", gateway.Name())
		}},
		{"routes and rules are removed", func() {
			inside.MustRun("sh", "-c", "ip rule flush; ip route flush table 5001; ip route flush table main")
		}},
		{"the name of the namespace is deleted", func() { gateway.MustRun("ip", "netns", "delete", name) }},
		{"the control groups are removed", func() { w.RemoveGroups("blue") }},
	} {
		loss.take()
		l.Eventually(loss.what, time.Minute, func() error {
			if !w.InGroups("blue") {
				return errors.New("the worker is in no control group")
			}
			if _, err := gateway.Run("ip", "netns", "exec", name, "true"); err != nil {
				return fmt.Errorf("the namespace has no name: %w", err)
			}
			_, stderr, err := w.CLI("status")
			if err != nil {
				return fmt.Errorf("%w: %s", err, stderr)
			}
			return nil
		})
		answers(l, ping, 20)
	}
	r := ping.Stop()
	t.Logf("%v", r)
	if got := wire.Inits(began); got != 0 || !s.Established() {
		t.Errorf("new IKE_SA_INITs: got %d, want 0", got)
	}
	if got := w.Context("blue"); got.PID != worker {
		t.Errorf("the worker was replaced: %+v", got)
	}
	for _, want := range []string{"network of the context put right", "control group made again"} {
		wantLog(t, w, want)
	}
}

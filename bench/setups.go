package main

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// unlimited is for what measures how much there is.
const unlimited = `
class "default" {
  limits { all = 0 }
}
`

// warrenSetups connects many clients to one worker.
func warrenSetups(l *lab.Lab, r *report, n int) error {
	gateway, client := l.Namespace("gateway"), l.Namespace("client")
	l.Veth(gateway, "out", client, "out")
	client.Address("out", lab.OutsideClient+"/24")
	w := gateway.Warrend(lab.WarrendConfig{
		System: unlimited + `
interface "Ethernet0/0" { device = "out" }

context "c" {
  config_url = "file:c.hcl"

  allocate_interface "Ethernet0/0" { name = "outside" }
}
`,
		Files: map[string]string{"c.hcl": tenantFile},
	})
	w.Ready()
	return setups(r, client, w.PIDs(), w.Context("c").PID, n, "warren", "0.40 or less")
}

// strongSwanSetups connects the same clients to strongSwan.
func strongSwanSetups(l *lab.Lab, r *report, n int) error {
	gateway, client := l.Namespace("gateway"), l.Namespace("client")
	l.Veth(gateway, "out", client, "out")
	client.Address("out", lab.OutsideClient+"/24")
	gateway.Address("out", lab.OutsideGateway+"/24")
	gateway.Address("lo", lab.InsideGateway+"/32") // its ESP in userspace wants a source for its routes
	s := gateway.StrongSwan(lab.StrongSwanConfig{Load: true, Conns: []lab.StrongSwanConn{{
		Name: "gw", Local: lab.OutsideGateway, LocalID: "gw.example", LocalPSK: "gateway key", RemotePSK: "client key",
		Proposals: "aes256gcm16-prfsha384-x25519", ESPProposals: "aes256gcm16", LocalTS: "10.10.0.0/24",
		Pool: "10.96.0.0/14",
	}}})
	return setups(r, client, []int{s.PID()}, s.PID(), n, "strongSwan", "")
}

// setups measures n set-ups: what they cost the processes of the gateway, and the
// memory of the one that keeps the SAs.
func setups(r *report, client *lab.Namespace, gateway []int, keeper, n int, who, aim string) error {
	g, err := newGenerator(client, single, n)
	if err != nil {
		return err
	}
	defer g.close()
	before, err := lab.SettledCPU(gateway...)
	if err != nil {
		return err
	}
	took, err := g.run()
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	after, err := lab.SettledCPU(gateway...)
	if err != nil {
		return err
	}
	r.Add(who+": set-ups, with the clients on the same machine", float64(n)/took.Seconds(), "per second", "")
	r.Add(who+": processor time of the gateway for one", float64(after-before)/float64(n)/float64(time.Millisecond),
		"ms", aim)
	size, err := lab.PSS(keeper)
	if err != nil {
		return err
	}
	r.Add(who+": PSS with all of them up", float64(size)/(1<<20), "MiB", "")
	return nil
}

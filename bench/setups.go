package main

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/bench/generator"
	"github.com/warrenvpn/warren/internal/lab"
)

// warrenSetups connects many clients to one worker.
func warrenSetups(l *lab.Lab, r *report, n int) error {
	client, w := warrenGateway(l)
	return setups(r, client, w.PIDs(), w.Context("c").PID, n, "warren", "0.40 or less")
}

// warrenGateway starts a gateway without limits, and returns a namespace for its clients.
func warrenGateway(l *lab.Lab) (client *lab.Namespace, w *lab.Warrend) {
	gateway, client := l.Namespace("gateway"), l.Namespace("client")
	l.Veth(gateway, "out", client, "out")
	client.Address("out", lab.OutsideClient+"/24")
	w = gateway.Warrend(lab.WarrendConfig{
		System: generator.Unlimited + `
interface "Ethernet0/0" { device = "out" }

context "c" {
  config_url = "file:c.hcl"

  allocate_interface "Ethernet0/0" { name = "outside" }
}
`,
		Files: map[string]string{"c.hcl": tenantFile},
	})
	w.Ready()
	return client, w
}

// strongSwanSetups connects the same clients to strongSwan.
func strongSwanSetups(l *lab.Lab, r *report, n int) error {
	client, s := strongSwanGateway(l)
	return setups(r, client, []int{s.PID()}, s.PID(), n, "strongSwan", "")
}

// strongSwanGateway starts strongSwan as that gateway.
func strongSwanGateway(l *lab.Lab) (*lab.Namespace, *lab.StrongSwan) {
	gateway, client := l.Namespace("gateway"), l.Namespace("client")
	l.Veth(gateway, "out", client, "out")
	client.Address("out", lab.OutsideClient+"/24")
	gateway.Address("out", lab.OutsideGateway+"/24")
	gateway.Address("lo", lab.InsideGateway+"/32") // its ESP in userspace wants a source for its routes
	return client, gateway.StrongSwan(lab.StrongSwanConfig{Load: true, Conns: []lab.StrongSwanConn{{
		Name: "gw", Local: lab.OutsideGateway, LocalID: "gw.example", LocalPSK: "gateway key", RemotePSK: "client key",
		Proposals: "aes256gcm16-prfsha384-x25519", ESPProposals: "aes256gcm16", LocalTS: "10.10.0.0/24",
		Pool: "10.96.0.0/14",
	}}})
}

// few and many are how many SAs stand when their memory is weighed: what one of them
// takes is the difference, without what the process takes anyway.
const few, many = 1000, 8000

// warrenMemory and strongSwanMemory weigh an IKE SA with its child SA.
func warrenMemory(l *lab.Lab, r *report) error {
	client, w := warrenGateway(l)
	return memory(r, client, w.Context("c").PID, "warren", "7.0 or less")
}

func strongSwanMemory(l *lab.Lab, r *report) error {
	client, s := strongSwanGateway(l)
	return memory(r, client, s.PID(), "strongSwan", "")
}

// memory weighs the process that keeps the SAs with few and with many of them.
func memory(r *report, client *lab.Namespace, keeper int, who, aim string) error {
	g, err := generator.New(client, single, many)
	if err != nil {
		return err
	}
	defer g.Close()
	var sizes []int64
	for _, g.Clients = range []int{few, many} {
		if _, err := g.Run(); err != nil {
			return fmt.Errorf("%s: %w", who, err)
		}
		size, err := settledPSS(g, keeper)
		if err != nil {
			return err
		}
		sizes = append(sizes, size)
	}
	r.Add(fmt.Sprintf("%s: PSS with %d SAs", who, many), float64(sizes[1])/(1<<20), "MiB", "")
	r.Add(who+saSize, float64(sizes[1]-sizes[0])/(many-few)/(1<<10), "KiB", aim)
	return nil
}

// settledPSS returns the PSS of a process when it shrinks no more: one that is quiet
// gives memory back after some seconds. The clients answer meanwhile.
func settledPSS(g *generator.Generator, pid int) (int64, error) {
	const look, looks = time.Second, 8
	least, err := lab.PSS(pid)
	for since := 0; err == nil && since < looks; since++ {
		stop := make(chan struct{})
		time.AfterFunc(look, func() { close(stop) })
		g.Answer(stop)
		var size int64
		if size, err = lab.PSS(pid); err == nil && size < least-least/200 {
			least, since = size, 0
		}
	}
	return least, err
}

// single is the gateway of tenantFile.
var single = generator.Target{
	Local: lab.OutsideClient, Gateway: lab.OutsideGateway, GatewayID: "gw.example",
	ClientKey: "client key", GatewayKey: "gateway key", Inside: "10.10.0.0/24",
}

// setups measures n set-ups: what they cost the processes of the gateway, and the
// memory of the one that keeps the SAs.
func setups(r *report, client *lab.Namespace, gateway []int, keeper, n int, who, aim string) error {
	g, err := generator.New(client, single, n)
	if err != nil {
		return err
	}
	defer g.Close()
	before, err := lab.SettledCPU(gateway...)
	if err != nil {
		return err
	}
	took, err := g.Run()
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	after, err := lab.SettledCPU(gateway...)
	if err != nil {
		return err
	}
	r.Add(who+": set-ups, with the clients on the same machine", float64(n)/took.Seconds(), "per second", "")
	r.Add(who+setupTime, float64(after-before)/float64(n)/float64(time.Millisecond),
		"ms", aim)
	size, err := lab.PSS(keeper)
	if err != nil {
		return err
	}
	r.Add(who+": PSS with all of them up", float64(size)/(1<<20), "MiB", "")
	return nil
}

package main

import (
	"fmt"

	"github.com/warrenvpn/warren/internal/lab"
)

// tunnel is a tunnel to measure, from a client to the host behind its gateway.
type tunnel struct {
	who          string
	client, host *lab.Namespace
	from         string
	gateway      []int // its processes
}

// measure sends one TCP flow each way.
func (t tunnel) measure(r *report, seconds int, aim string) error {
	t.client.MustPing(lab.Ping{From: t.from, To: lab.InsideHost})
	for _, reverse := range []bool{false, true} {
		before, err := lab.SettledCPU(t.gateway...)
		if err != nil {
			return err
		}
		result, err := t.client.Iperf(t.host, lab.Iperf{From: t.from, To: lab.InsideHost, Seconds: seconds,
			Reverse: reverse})
		if err != nil {
			return err
		}
		after, err := lab.SettledCPU(t.gateway...)
		if err != nil {
			return err
		}
		way := "from the client"
		if reverse {
			way = "to the client"
		}
		r.Add(fmt.Sprintf("%s: TCP %s", t.who, way), result.BitsPerSecond/1e6, "Mbit/s", aim)
		gbit := float64(result.Bytes) * 8 / 1e9
		r.Add(fmt.Sprintf("%s: processor time of the gateway, %s", t.who, way), (after-before).Seconds()/gbit,
			"s/Gbit", "")
	}
	return nil
}

// forceUDP has both ends of a tunnel between Warrens do as strongSwan does.
const forceUDP = "\ndataplane { force_udp_encapsulation = true }\n"

// warrenThroughput measures with a strongSwan client, and with our own.
func warrenThroughput(l *lab.Lab, r *report, seconds int) error {
	n := l.TwoTenants()
	w := n.StartGateway(nil)
	w.Ready()
	s := n.Blue.Client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{n.Blue.Conn()}})
	s.MustInitiate("blue")
	mixed := tunnel{"warren, client strongSwan", n.Blue.Client, n.Blue.Host, s.VIPs()[0], w.PIDs()}
	if err := mixed.measure(r, seconds, ""); err != nil {
		return err
	}
	s.Stop()
	w.Stop()

	own := l.Namespace("own")
	l.Veth(n.Gateway, "x-out", own, "cb-out")
	w = n.Gateway.Warrend(lab.WarrendConfig{
		Name: "g2", System: lab.OneContext("blue", "x-out", "wb-in"),
		Files: map[string]string{"blue.hcl": lab.File("blue.hcl") + forceUDP},
	})
	w.Ready()
	c := own.Warrend(lab.WarrendConfig{
		Name: "cl",
		System: `
interface "Ethernet1/1" { device = "cb-out" }

context "blue" {
  config_url = "file:client-blue.hcl"

  allocate_interface "Ethernet1/1" { name = "outside" }
}
`,
		Files: map[string]string{"client-blue.hcl": lab.File("client-blue.hcl") + forceUDP},
	})
	c.Ready()
	sa := w.WaitSAs("blue", 1)[0]
	pure := tunnel{"warren, client warren", c.Namespace("blue"), n.Blue.Host, sa.Assigned[0], w.PIDs()}
	return pure.measure(r, seconds, "ahead of strongSwan")
}

// strongSwanThroughput is the same network with strongSwan at both ends.
func strongSwanThroughput(l *lab.Lab, r *report, seconds int) error {
	gateway, client, host := l.Namespace("gateway"), l.Namespace("client"), l.Namespace("host")
	l.Veth(gateway, "out", client, "out")
	l.Veth(gateway, "in", host, "in")
	gateway.Forward()
	gateway.Address("out", lab.OutsideGateway+"/24")
	gateway.Address("in", lab.InsideGateway+"/24")
	client.Address("out", lab.OutsideClient+"/24")
	host.Address("in", lab.InsideHost+"/24")
	host.Route("0.0.0.0/0", lab.InsideGateway)
	g := gateway.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{{
		Name: "gw", Local: lab.OutsideGateway, LocalID: "gw.example", RemoteID: "alice@example",
		LocalPSK: "gateway key", RemotePSK: "client key",
		Proposals: "aes256gcm16-prfsha384-x25519", ESPProposals: "aes256gcm16", LocalTS: "10.10.0.0/24",
		Pool: "10.99.0.10-10.99.0.250",
	}}})
	s := client.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{{
		Name: "hub", Remote: lab.OutsideGateway, LocalID: "alice@example", RemoteID: "gw.example",
		LocalPSK: "client key", RemotePSK: "gateway key",
		Proposals: "aes256gcm16-prfsha384-x25519", ESPProposals: "aes256gcm16", VIPs: "0.0.0.0",
		RemoteTS: "10.10.0.0/24",
	}}})
	s.MustInitiate("hub")
	t := tunnel{"strongSwan at both ends", client, host, s.VIPs()[0], []int{g.PID()}}
	return t.measure(r, seconds, "")
}

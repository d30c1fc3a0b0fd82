package main

import (
	"fmt"

	"github.com/warrenvpn/warren/internal/lab"
)

// The gateways, by their names in the result.
const (
	plain       = "plain"
	warren      = "warren"
	wireguardGo = "wireguard-go"
	strongSwan  = "strongswan"
	staticPlane = "static" // esp/plane alone
)

// maker makes a site.
type maker struct {
	gateway, client string
	clients         int
	make            func(*lab.Lab, maker) *site
}

func (m maker) String() string { return fmt.Sprintf("%s/%s/%d", m.gateway, m.client, m.clients) }

// name makes the name of a namespace of the site.
func (m maker) name(of string) string {
	return fmt.Sprintf("%s-%s-%d-%s", m.gateway, m.client, m.clients, of)
}

// makers are the sites in the order in which they are measured. Who stands next
// to whom in time can be compared best.
var makers = []maker{
	{plain, plain, 1, makePlain},
	{wireguardGo, wireguardGo, 1, makeWireguard},
	{warren, warren, 1, makeWarren},
	{staticPlane, staticPlane, 1, makeStatic},
	{warren, strongSwan, 1, makeWarrenStrongSwan},
	{strongSwan, strongSwan, 1, makeStrongSwan},
	{plain, plain, 4, makePlain},
	{wireguardGo, wireguardGo, 4, makeWireguard},
	{warren, warren, 4, makeWarren},
	{staticPlane, staticPlane, 4, makeStatic},
	{strongSwan, strongSwan, 4, makeStrongSwan},
}

// site is a gateway between its clients and a host:
//
//	client 198.51.100.(1+n) --- out [ gateway 198.51.100.1, 10.10.0.1 ] in --- 10.10.0.53 host
//
// With several clients a switch stands between them and the gateway.
type site struct {
	maker
	gatewayNS, host *lab.Namespace
	clients         []client
	pids            []int // of the gateway's processes; none: the kernel alone
}

// client is where traffic comes from.
type client struct {
	ns   *lab.Namespace
	from string // its address inside the tunnel
}

// outside is the address of client n, from 1 on.
func outside(n int) string { return fmt.Sprintf("198.51.100.%d", 1+n) }

// inside is the address of client n in the tunnel where nobody else gives one.
func inside(n int) string { return fmt.Sprintf("10.99.0.%d", 1+n) }

// layOut makes namespaces and links. With bare, the devices of the gateway,
// "out" and "in", have no addresses, and so have those of the clients, "out".
func layOut(l *lab.Lab, m maker, bare bool) *site {
	s := &site{maker: m, gatewayNS: l.Namespace(m.name("gw")), host: l.Namespace(m.name("host"))}
	l.Veth(s.gatewayNS, "in", s.host, "in")
	s.host.Address("in", lab.InsideHost+"/24")
	s.host.Route("0.0.0.0/0", lab.InsideGateway)
	for n := 1; n <= m.clients; n++ {
		s.clients = append(s.clients, client{ns: l.Namespace(m.name(fmt.Sprint("c", n))), from: inside(n)})
	}
	if m.clients == 1 {
		l.Veth(s.gatewayNS, "out", s.clients[0].ns, "out")
	} else {
		hub := l.Namespace(m.name("switch"))
		l.Veth(s.gatewayNS, "out", hub, "gw")
		ports := []string{"gw"}
		for n, c := range s.clients {
			port := fmt.Sprint("c", n)
			l.Veth(c.ns, "out", hub, port)
			ports = append(ports, port)
		}
		hub.Bridge("switch", ports...)
	}
	if !bare {
		s.gatewayNS.Forward()
		s.gatewayNS.Address("out", lab.OutsideGateway+"/24")
		s.gatewayNS.Address("in", lab.InsideGateway+"/24")
		for n, c := range s.clients {
			c.ns.Address("out", outside(n+1)+"/24")
		}
	}
	return s
}

// check waits until every client reaches the host.
func (s *site) check() error {
	for _, c := range s.clients {
		c.ns.MustPing(lab.Ping{From: c.from, To: lab.InsideHost})
	}
	return nil
}

// makePlain is routing without a tunnel.
func makePlain(l *lab.Lab, m maker) *site {
	s := layOut(l, m, false)
	for n, c := range s.clients {
		s.clients[n].from = outside(n + 1)
		c.ns.Route("10.10.0.0/24", lab.OutsideGateway)
	}
	return s
}

// The algorithms of every IPsec tunnel here.
const (
	ikeProposal = "aes256gcm16-prfsha384-x25519"
	espProposal = "aes256gcm16"
)

// swanGateway is strongSwan as the gateway.
func swanGateway() lab.StrongSwanConfig {
	return lab.StrongSwanConfig{Load: true, Conns: []lab.StrongSwanConn{{
		Name: "gw", Local: lab.OutsideGateway, LocalID: "gw.example", LocalPSK: "gateway key", RemotePSK: "client key",
		Proposals: ikeProposal, ESPProposals: espProposal, LocalTS: "10.10.0.0/24", Pool: "10.99.0.10-10.99.0.250",
	}}}
}

// swanClient is strongSwan as client n.
func swanClient(n int) lab.StrongSwanConfig {
	return lab.StrongSwanConfig{Load: true, Conns: []lab.StrongSwanConn{{
		Name: "hub", Remote: lab.OutsideGateway, LocalID: clientID(n), RemoteID: "gw.example",
		LocalPSK: "client key", RemotePSK: "gateway key",
		Proposals: ikeProposal, ESPProposals: espProposal, VIPs: "0.0.0.0", RemoteTS: "10.10.0.0/24",
	}}}
}

func clientID(n int) string { return fmt.Sprintf("c%d@example", n) }

func makeStrongSwan(l *lab.Lab, m maker) *site {
	s := layOut(l, m, false)
	s.pids = []int{service.add(s.gatewayNS.StrongSwan(swanGateway()).PID())}
	s.connectSwans()
	return s
}

// connectSwans starts strongSwan at every client.
func (s *site) connectSwans() {
	for i := range s.clients {
		c := &s.clients[i]
		swan := c.ns.StrongSwan(swanClient(i + 1))
		service.add(swan.PID())
		swan.MustInitiate("hub")
		c.from = swan.VIPs()[0]
	}
}

// gatewayFile is the tenant of the gateway.
const gatewayFile = `
interface "outside" { address = "198.51.100.1/24" }
interface "inside" { address = "10.10.0.1/24" }

dataplane { force_udp_encapsulation = true }

ip_pool "p" { range = "10.99.0.10-10.99.0.250" }

ikev2_policy "10" {
  encryption = ["aes-256-gcm"]
  prf        = ["sha384"]
  group      = ["x25519"]
}

ipsec_proposal "gcm" { encryption = ["aes-256-gcm"] }

group_policy "p" { split_tunnel = ["10.10.0.0/24"] }

tunnel_group "DefaultRAGroup" {
  type                 = "remote-access"
  default_group_policy = "p"
  address_pools        = ["p"]

  ikev2 {
    local_identity        = "gw.example"
    local_authentication  = { pre_shared_key = "gateway key" }
    remote_authentication = { pre_shared_key = "client key" }
  }
}

crypto_map "outside" {
  dynamic "any" {
    ipsec_proposals = ["gcm"]
    reverse_route   = true
  }
}
`

// clientFile is the tenant of client n.
func clientFile(n int) string {
	return fmt.Sprintf(`
interface "outside" { address = "%s/24" }

dataplane { force_udp_encapsulation = true }

tunnel_group "hub" {
  type = "site-to-site"

  ikev2 {
    local_identity        = %q
    remote_identity       = "gw.example"
    local_authentication  = { pre_shared_key = "client key" }
    remote_authentication = { pre_shared_key = "gateway key" }
  }
}

crypto_map "outside" {
  static "hub" {
    peer            = "198.51.100.1"
    tunnel_group    = "hub"
    connection      = "start"
    request_address = true
    remote_networks = ["10.10.0.0/24"]
  }
}
`, outside(n), clientID(n))
}

// warrenGateway starts warrend at the gateway.
func (s *site) warrenGateway() *lab.Warrend {
	w := s.gatewayNS.Warrend(lab.WarrendConfig{
		Name: s.name("w"), System: lab.OneContext("c", "out", "in"), Files: map[string]string{"c.hcl": gatewayFile},
	})
	w.Ready()
	s.pids = w.PIDs()
	return w
}

func makeWarren(l *lab.Lab, m maker) *site {
	s := layOut(l, m, true)
	w := s.warrenGateway()
	for i := range s.clients {
		c := s.clients[i].ns.Warrend(lab.WarrendConfig{
			Name: s.name(fmt.Sprint("wc", i+1)),
			System: `
interface "Ethernet0/0" { device = "out" }

context "c" {
  config_url = "file:c.hcl"

  allocate_interface "Ethernet0/0" { name = "outside" }
}
`,
			Files: map[string]string{"c.hcl": clientFile(i + 1)},
		})
		c.Ready()
		s.clients[i].ns = c.Namespace("c")
	}
	for _, sa := range w.WaitSAs("c", m.clients) {
		for i := range s.clients {
			if sa.RemoteID == clientID(i+1) {
				s.clients[i].from = sa.Assigned[0]
			}
		}
	}
	return s
}

// makeWarrenStrongSwan is warren with the client that strongSwan is measured
// with.
func makeWarrenStrongSwan(l *lab.Lab, m maker) *site {
	s := layOut(l, m, true)
	for n, c := range s.clients {
		c.ns.Address("out", outside(n+1)+"/24")
	}
	s.warrenGateway()
	s.connectSwans()
	return s
}

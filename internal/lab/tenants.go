package lab

import (
	"embed"
	"strings"

	"github.com/warrenvpn/warren/configs/contract"
)

//go:embed files/*.hcl
var files embed.FS

// agreed are the configurations of the contract that are the lab's, too.
var agreed = map[string]string{"blue.hcl": "blue.hcl", "red.hcl": "red.hcl", "acme.hcl": "pair/acme.hcl"}

// File is one of the lab's configurations: "blue.hcl" and "red.hcl" are the two
// tenants, "system.hcl" is the box that has both (without its system block, which
// Warrend writes), and "client-blue.hcl", "client-red.hcl" and "client-system.hcl"
// are a box with a client of each; "acme.hcl" is the context of a pair, and
// "pair-client.hcl" with "pair-client-system.hcl" its client.
func File(name string) string {
	b, err := files.ReadFile("files/" + name)
	if at, ok := agreed[name]; ok {
		b, err = contract.Files.ReadFile(at)
	}
	if err != nil {
		panic("lab: internal error: " + err.Error())
	}
	return string(b)
}

// The addresses of both tenants, the same on purpose.
const (
	OutsideGateway = "198.51.100.1"
	OutsideClient  = "198.51.100.2"
	OutsideRouter  = "198.51.100.254" // where the default routes lead; nobody forwards
	InsideGateway  = "10.10.0.1"
	InsideHost     = "10.10.0.53"
)

// TenantsInside are the networks of both tenants that must not be seen outside in
// clear: the inside, and the clients' addresses.
var TenantsInside = []string{"10.10.0.0/24", "10.99.0.0/16", "fd00::/16"}

// Tenants is the network of the two tenants, blue and red:
//
//	client 198.51.100.2 --- wb-out [ gateway ] wb-in --- 10.10.0.53 host
//	client 198.51.100.2 --- wr-out [ gateway ] wr-in --- 10.10.0.53 host
//
// The gateway's devices are bare: the daemon moves them into its contexts. A
// tripwire on each outside wire ends the test that lets TenantsInside pass.
type Tenants struct {
	Gateway   *Namespace
	Blue, Red Tenant
}

// Tenant is what surrounds one tenant.
type Tenant struct {
	Name     string
	Client   *Namespace // its device is "out"
	Host     *Namespace // its device is "in"
	Outside  string     // device of the gateway
	Identity string     // of its client
}

// TwoTenants lays out the network with a namespace for each client.
func (l *Lab) TwoTenants() *Tenants {
	l.tb.Helper()
	return l.TwoTenantsAround(l.Namespace("gateway"))
}

// TwoTenantsAround is TwoTenants with a namespace that is there for the gateway.
func (l *Lab) TwoTenantsAround(gateway *Namespace) *Tenants {
	l.tb.Helper()
	n := l.tenants(gateway)
	for _, t := range []*Tenant{&n.Blue, &n.Red} {
		t.Client = l.Namespace(t.Name + "-client")
		l.Veth(n.Gateway, t.Outside, t.Client, "out")
		t.Client.Address("out", OutsideClient+"/24", OutsideRouter+"/24")
		t.Client.Tripwire("out", TenantsInside...)
	}
	return n
}

// TwoTenantsOneClient lays out the network with one namespace for both clients,
// whose bare devices cb-out and cr-out are for a daemon to move.
func (l *Lab) TwoTenantsOneClient() *Tenants {
	l.tb.Helper()
	n := l.tenants(l.Namespace("gateway"))
	clients := l.Namespace("clients")
	n.Blue.Client, n.Red.Client = clients, clients
	l.Veth(n.Gateway, n.Blue.Outside, clients, "cb-out")
	l.Veth(n.Gateway, n.Red.Outside, clients, "cr-out")
	return n
}

// tenants lays out all but the clients.
func (l *Lab) tenants(gateway *Namespace) *Tenants {
	l.tb.Helper()
	n := &Tenants{
		Gateway: gateway,
		Blue:    Tenant{Name: "blue", Outside: "wb-out", Identity: "alice@blue.example"},
		Red:     Tenant{Name: "red", Outside: "wr-out", Identity: "bob@red.example"},
	}
	for _, t := range []*Tenant{&n.Blue, &n.Red} {
		t.Host = l.Namespace(t.Name + "-host")
		l.Veth(n.Gateway, strings.Replace(t.Outside, "out", "in", 1), t.Host, "in")
		t.Host.Address("in", InsideHost+"/24")
		t.Host.Route("0.0.0.0/0", InsideGateway)
	}
	return n
}

// StartGateway starts the daemon with both tenants, their files changed by edit
// where that is not nil: it is given a file's name and text.
func (n *Tenants) StartGateway(edit func(name, text string) string) *Warrend {
	n.Gateway.lab.tb.Helper()
	if edit == nil {
		edit = func(_, text string) string { return text }
	}
	return n.gateway(edit, WarrendConfig{})
}

// StartKeptGateway is StartGateway with somebody who keeps descriptors for the daemon. bin is
// the folder of its programs; empty: as WarrendConfig.
func (n *Tenants) StartKeptGateway(bin string) *Warrend {
	n.Gateway.lab.tb.Helper()
	return n.gateway(func(_, text string) string { return text }, WarrendConfig{Keep: true, Bin: bin})
}

func (n *Tenants) gateway(edit func(name, text string) string, c WarrendConfig) *Warrend {
	n.Gateway.lab.tb.Helper()
	c.System = edit("system.hcl", File("system.hcl"))
	c.Files = map[string]string{
		"blue.hcl": edit("blue.hcl", File("blue.hcl")),
		"red.hcl":  edit("red.hcl", File("red.hcl")),
	}
	return n.Gateway.Warrend(c)
}

// StartClients starts a daemon whose two contexts connect to the two tenants;
// the network must be one of TwoTenantsOneClient.
func (n *Tenants) StartClients() *Warrend {
	n.Gateway.lab.tb.Helper()
	return n.Blue.Client.Warrend(WarrendConfig{
		Name:   "cl",
		System: File("client-system.hcl"),
		Files: map[string]string{
			"client-blue.hcl": File("client-blue.hcl"),
			"client-red.hcl":  File("client-red.hcl"),
		},
	})
}

// Conn is how a strongSwan client connects to the tenant, with its own proposals.
func (t Tenant) Conn() StrongSwanConn {
	return StrongSwanConn{
		Name: t.Name, Remote: OutsideGateway,
		LocalID: t.Identity, RemoteID: "gw." + t.Name + ".example",
		LocalPSK: t.Name + "-client-key", RemotePSK: t.Name + "-gateway-key",
		VIPs: "0.0.0.0", RemoteTS: "10.10.0.0/24",
	}
}

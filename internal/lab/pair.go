package lab

import (
	"fmt"
	"strings"
	"syscall"
)

// The addresses around each context of a pair, the same ones for every context.
const (
	PairOutside        = "192.0.2.1" // of the active node
	PairOutsideStandby = "192.0.2.11"
	PairInside         = "10.44.0.1"
	PairInsideHost     = "10.44.0.53"
	PairPool           = "10.55.1.0/24"
)

// PairInsideNetworks must not be seen in clear on the outside ports of a pair.
var PairInsideNetworks = []string{"10.44.0.0/24", "10.55.0.0/16", "fd00::/16"}

// The two units of a pair, as Pair.Nodes has them.
const (
	Primary = iota
	Secondary
)

// Pair is a failover pair and what surrounds it. Each context has an Ethernet
// outside and one inside, to which both nodes are connected:
//
//	client-1 ---+                 +--- a-out [ node a ] a-in ---+
//	client-2 ---+ 192.0.2.0/24 ---+              | a-fo         +--- 10.44.0.0/24 --- host
//	...      ---+                 +--- b-out [ node b ] b-in ---+
//	                                             | b-fo
//
// The failover link is an Ethernet, too, so that it can be cut in silence.
type Pair struct {
	lab   *Lab
	Nodes [2]*PairNode // the primary unit, and the secondary
	Sites []*PairSite  // one for each context
	Cable *Segment     // the failover link, with ports a and b
	cfg   PairConfig
}

// PairNode is one of the two daemons.
type PairNode struct {
	*Warrend
	Unit string // "primary" or "secondary"
	Port string // its name, and that of its port of every segment
	ns   *Namespace
	dead bool
}

// PairSite is what surrounds one context.
type PairSite struct {
	Context         string
	Group           string
	Outside, Inside *Segment   // with ports a, b, host and one for each client
	Host            *Namespace // at PairInsideHost
	pair            *Pair
	clients         int
}

// Outside is the namespace that the node's daemon runs in.
func (n *PairNode) Outside() *Namespace { return n.ns }

// PairConfig is how a pair is configured; the zero value is one context with all
// defaults.
type PairConfig struct {
	Contexts []PairContext
	Failover string // more of the failover block, as it stands
	Context  string // more of every context's file, as it stands
	// Edit changes the files of one node: it is given the node's unit, a file's
	// name and its text.
	Edit func(unit, name, text string) string
	Bin  [2]string // folders of each node's programs; empty: as WarrendConfig
	Keep bool      // as WarrendConfig, of both
}

// PairContext is one context in a failover group of its own.
type PairContext struct {
	Name  string
	Group string // more of the group's block: "preempt = true"; empty: all defaults
}

// Pair lays out the networks of a pair without starting it.
func (l *Lab) Pair(c PairConfig) *Pair {
	l.tb.Helper()
	if len(c.Contexts) == 0 {
		c.Contexts = []PairContext{{Name: "acme"}}
	}
	p := &Pair{lab: l, cfg: c, Cable: l.Segment("cable")}
	p.Nodes[Primary] = &PairNode{Unit: "primary", Port: "a", ns: l.Namespace("a")}
	p.Nodes[Secondary] = &PairNode{Unit: "secondary", Port: "b", ns: l.Namespace("b")}
	for _, n := range p.Nodes {
		p.Cable.Connect(n.Port, n.ns, n.Port+"-fo")
	}
	for i, context := range c.Contexts {
		p.site(i, context.Name)
	}
	return p
}

// site lays out what surrounds context i.
func (p *Pair) site(i int, context string) {
	p.lab.tb.Helper()
	s := &PairSite{
		pair: p, Context: context, Group: fmt.Sprint(i + 1),
		Outside: p.lab.Segment(context + "-outside"), Inside: p.lab.Segment(context + "-inside"),
		Host: p.lab.Namespace(context + "-host"),
	}
	for _, n := range p.Nodes {
		s.Outside.Connect(n.Port, n.ns, n.device(i, "out"))
		s.Inside.Connect(n.Port, n.ns, n.device(i, "in"))
		s.Outside.Tripwire(n.Port, PairInsideNetworks...)
	}
	s.Inside.Connect("host", s.Host, "in")
	s.Host.Address("in", PairInsideHost+"/24")
	s.Host.Route("0.0.0.0/0", PairInside)
	p.Sites = append(p.Sites, s)
}

// device is a device of the node for context i: "a-out", "a-out-2".
func (n *PairNode) device(i int, side string) string {
	if i == 0 {
		return n.Port + "-" + side
	}
	return fmt.Sprintf("%s-%s-%d", n.Port, side, i+1)
}

// StartPair lays out a pair, starts both nodes and waits until one of them is
// active for every group and the other one is ready to take over.
func (l *Lab) StartPair(c PairConfig) *Pair {
	l.tb.Helper()
	p := l.Pair(c)
	for _, n := range p.Nodes {
		p.StartNode(n)
	}
	p.Whole()
	return p
}

// StartNode starts a node, for the first time or again.
func (p *Pair) StartNode(n *PairNode) {
	p.lab.tb.Helper()
	n.dead = false
	if n.Warrend != nil {
		n.Start()
		return
	}
	edit := p.cfg.Edit
	if edit == nil {
		edit = func(_, _, text string) string { return text }
	}
	files := map[string]string{"failover.key": "hex:" + strings.Repeat("1ab0", 16) + "\n"}
	for _, s := range p.Sites {
		files[s.Context+".hcl"] = File("acme.hcl") + p.cfg.Context
	}
	for name, text := range files {
		files[name] = edit(n.Unit, name, text)
	}
	unit := Primary
	if n == p.Nodes[Secondary] {
		unit = Secondary
	}
	n.Warrend = n.ns.Warrend(WarrendConfig{
		Name: n.Port, Bin: p.cfg.Bin[unit], System: edit(n.Unit, "system.hcl", p.systemFile(n)), Files: files,
		Keep: p.cfg.Keep,
	})
}

// systemFile is the system file of a node, without its system block.
func (p *Pair) systemFile(n *PairNode) string {
	var b strings.Builder
	for i := range p.Sites {
		fmt.Fprintf(&b, "interface \"Ethernet%d/0\" { device = %q }\n", i, n.device(i, "out"))
		fmt.Fprintf(&b, "interface \"Ethernet%d/1\" { device = %q }\n", i, n.device(i, "in"))
	}
	own, peer := 1, 2
	if n == p.Nodes[Secondary] {
		own, peer = 2, 1
	}
	fmt.Fprintf(&b, `interface "Ethernet9/9" { device = "%s-fo" }

failover {
  unit = %q
  key  = { file = "failover.key" }
%s
  link "direct" {
    interface = "Ethernet9/9"
    address   = "192.168.255.%d/30"
    peer      = "192.168.255.%d"
  }
`, n.Port, n.Unit, p.cfg.Failover, own, peer)
	for i, s := range p.Sites {
		fmt.Fprintf(&b, "\n  group %q {\n%s\n  }\n", s.Group, p.cfg.Contexts[i].Group)
	}
	b.WriteString("}\n")
	for i, s := range p.Sites {
		fmt.Fprintf(&b, `
context %q {
  config_url     = "file:%s.hcl"
  failover_group = %q

  allocate_interface "Ethernet%d/0" { name = "outside" }
  allocate_interface "Ethernet%d/1" { name = "inside" }
}
`, s.Context, s.Context, s.Group, i, i)
	}
	return b.String()
}

// Kill ends a node as a loss of power would: the daemon and every process that
// it started get SIGKILL at once. StartNode brings it back.
func (p *Pair) Kill(n *PairNode) {
	p.lab.tb.Helper()
	n.dead = true
	for _, pid := range append([]int{n.PID()}, descendants(n.PID())...) {
		// One that has ended with its parent is as dead as it should be.
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	n.Process.Kill() // and wait for its end
}

// KillKept is Kill of a node whose workers may be of an earlier daemon.
func (p *Pair) KillKept(n *PairNode) {
	p.lab.tb.Helper()
	var workers []int
	for _, s := range p.Sites {
		workers = append(workers, n.Context(s.Context).PID)
	}
	n.dead = true
	for _, pid := range append([]int{n.PID()}, workers...) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // what has ended is as dead as it should be
	}
	n.Process.Kill()
}

// descendants are the processes below pid, the nearest first.
func descendants(pid int) []int {
	list := Children(pid)
	for i := 0; i < len(list); i++ {
		list = append(list, Children(list[i])...)
	}
	return list
}

// Client lays out a namespace for a client of the context; its device is "out".
func (s *PairSite) Client() *Namespace {
	lab := s.pair.lab
	lab.tb.Helper()
	s.clients++
	port := fmt.Sprintf("client-%d", s.clients)
	ns := lab.Namespace(s.Context + "-" + port)
	s.Outside.Connect(port, ns, "out")
	ns.Address("out", fmt.Sprintf("192.0.2.%d/24", 100+s.clients))
	return ns
}

// ClientBehindNAT lays out a client whose router translates addresses.
func (s *PairSite) ClientBehindNAT() (client *Namespace, router *NAT) {
	lab := s.pair.lab
	lab.tb.Helper()
	outer := s.Client()
	address := fmt.Sprintf("192.0.2.%d", 100+s.clients)
	client = lab.Namespace(fmt.Sprintf("%s-home-%d", s.Context, s.clients))
	lab.Veth(outer, "home", client, "out")
	outer.Address("home", "172.16.0.1/24")
	client.Address("out", "172.16.0.2/24")
	client.Route("0.0.0.0/0", "172.16.0.1")
	return client, outer.NAT("out", address)
}

// Conn is how a strongSwan client connects to the pair, with its own proposals; the
// name is its identity's, too.
func (s *PairSite) Conn(name string) StrongSwanConn {
	return StrongSwanConn{
		Name: name, Remote: PairOutside, LocalID: name + "@clients.example", RemoteID: "hub.acme.example",
		LocalPSK: "the clients' key", RemotePSK: "the gateway's key",
		VIPs: "0.0.0.0", RemoteTS: "10.44.0.0/24",
	}
}

// StartClient starts our own program as a client of the context, in a new
// namespace, and returns the daemon; its context is called "client".
func (s *PairSite) StartClient() *Warrend {
	lab := s.pair.lab
	lab.tb.Helper()
	s.clients++
	port := fmt.Sprintf("client-%d", s.clients)
	ns := lab.Namespace(s.Context + "-" + port)
	s.Outside.Connect(port, ns, "cl-out")
	return ns.Warrend(WarrendConfig{
		Name:   fmt.Sprintf("c%d", s.clients),
		System: File("pair-client-system.hcl"),
		Files: map[string]string{"client.hcl": strings.NewReplacer(
			"192.0.2.101", fmt.Sprintf("192.0.2.%d", 100+s.clients), "client-1@", port+"@",
		).Replace(File("pair-client.hcl"))},
	})
}

//go:build e2e

package conformance

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// byFailover are scenarios with a pair in the place of moon.
var byFailover = []scenario{
	{number: 184, play: activePassive},
	{number: 186, play: bothActive},
}

// pairClient connects a client of a context of a pair.
func pairClient(site *lab.PairSite, name string) (*lab.Namespace, string) {
	ns := site.Client()
	s := ns.StrongSwan(lab.StrongSwanConfig{Conns: []lab.StrongSwanConn{site.Conn(name)}})
	s.MustInitiate(name)
	return ns, s.VIPs()[0]
}

// activePassive kills the node that serves; the other one goes on with the same SAs.
func activePassive(w *world) error {
	p := w.StartPair(lab.PairConfig{Context: w.backend})
	site := p.Sites[0]
	carol, address := pairClient(site, "carol")
	dave, other := pairClient(site, "dave")
	carol.MustPing(lab.Ping{From: address, To: lab.PairInsideHost})
	active, survivor := p.Active(site.Group)
	wire, began := site.Outside.CaptureHeaders(survivor.Port), time.Now()
	p.Kill(active)
	carol.MustPing(lab.Ping{From: address, To: lab.PairInsideHost})
	dave.MustPing(lab.Ping{From: other, To: lab.PairInsideHost})
	site.Host.MustPing(lab.Ping{From: lab.PairInsideHost, To: address})
	if n := len(survivor.IKESAs(site.Context)); n != 2 {
		return fmt.Errorf("the survivor has %d IKE SAs, not 2", n)
	}
	if n := wire.Inits(began); n > 0 {
		return fmt.Errorf("clients have connected again: %d IKE_SA_INIT", n)
	}
	w.see("the active node is killed; 2 IKE SAs on the other one; pings both ways; no IKE_SA_INIT")
	return nil
}

// bothActive has each node serve a context, and then one node both.
func bothActive(w *world) error {
	p := w.StartPair(lab.PairConfig{Context: w.backend,
		Contexts: []lab.PairContext{{Name: "acme"}, {Name: "bolt", Group: `prefer = "secondary"`}}})
	first, _ := p.Active(p.Sites[0].Group)
	second, _ := p.Active(p.Sites[1].Group)
	if first == second {
		return fmt.Errorf("node %s serves both contexts", first.Port)
	}
	carol, address := pairClient(p.Sites[0], "carol")
	dave, other := pairClient(p.Sites[1], "dave")
	began := time.Now()
	wire := p.Sites[0].Outside.CaptureHeaders(second.Port)
	for range 2 {
		carol.MustPing(lab.Ping{From: address, To: lab.PairInsideHost})
		dave.MustPing(lab.Ping{From: other, To: lab.PairInsideHost})
		if first.Running() {
			p.Kill(first)
		}
	}
	if n := wire.Inits(began); n > 0 {
		return fmt.Errorf("clients have connected again: %d IKE_SA_INIT", n)
	}
	w.see("each node serves a context; one is killed, the other one serves both; pings; no IKE_SA_INIT")
	return nil
}

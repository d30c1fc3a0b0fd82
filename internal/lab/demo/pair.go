package main

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// showPair is the second half of the demonstration: two nodes, and the death of
// the active one.
func showPair(s *stage, l *lab.Lab) error {
	s.act("A failover pair: two nodes, one context, one address. Every SA is on both nodes.")
	s.say(`
   client ---+                +--- [ node a, primary   ] ---+
             |  192.0.2.0/24  |           | failover link   |  10.44.0.0/24 --- 10.44.0.53 host
             +----------------+--- [ node b, secondary ] ---+`)
	p := l.StartPair(lab.PairConfig{})
	site := p.Sites[0]
	active, other := p.Active(site.Group)
	s.done("Node %s is active, node %s is ready to take over.", active.Port, other.Port)
	client := site.StartClient()
	client.Ready()
	sa := active.WaitSAs(site.Context, 1)[0]
	s.done("%s is connected to %s and has %s.", sa.RemoteID, lab.PairOutside, sa.Assigned[0])
	copied := other.WaitSAs(site.Context, 1)[0]
	if copied.SPIi != sa.SPIi {
		return fmt.Errorf("node %s holds another IKE SA than node %s", other.Port, active.Port)
	}
	s.done("Node %s holds its IKE SA %s, too: installed, and silent.", other.Port, sa.SPIi)
	return killNode(s, p, client.Namespace("client"), sa.Assigned[0])
}

// killNode kills the active node while the client and the host ping each other.
func killNode(s *stage, p *lab.Pair, client *lab.Namespace, address string) error {
	site := p.Sites[0]
	active, other := p.Active(site.Group)
	s.act("Every process of node " + active.Port +
		" is killed with -9 while client and host ping each other every 10 ms.")
	traffic := site.StartTraffic(client, address, nil)
	traffic.Go(50)
	p.Kill(active)
	s.done("kill -9: warrend and its workers on node %s", active.Port)
	traffic.Go(150)
	r := traffic.Stop()
	ways := []string{"client to host", "host to client"}
	for i, ping := range r.Pings {
		s.done("ping %s: %d sent, %d lost, silent for %v", ways[i], ping.Sent, ping.Lost(),
			ping.Outage.Round(time.Millisecond))
	}
	s.done("New IKE_SA_INITs on the wire: %d; packets that the client must take for replays: %d", r.Inits,
		r.ReplayDrops)
	s.command("warren show failover     # on node "+other.Port, other.MustCLI("show", "failover"))
	if err := r.Err(5 * time.Second); err != nil {
		return err
	}

	s.act("Node " + active.Port + " comes back, copies everything, and is ready to take over in its turn.")
	p.StartNode(active)
	p.Whole()
	p.Active(site.Group)
	s.command("warren show failover     # on node "+active.Port, active.MustCLI("show", "failover"))
	return nil
}

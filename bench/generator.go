package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/lab"
	"github.com/warrenvpn/warren/internal/secret"
)

// generator is many remote-access clients on one address: one engine, as
// initiator of every connection, on two sockets. It sets up IKE SAs and child
// SAs and carries no traffic.
type generator struct {
	engine   *ike.Engine
	sockets  map[uint16]*net.UDPConn // by local port
	incoming chan exchange.Datagram
	readers  sync.WaitGroup
	begun    map[string]time.Time // by entry
	next     int                  // client to begin next
	clients  int
	up       int
	// latencies are how long each set-up took, in the order of their ends.
	latencies []time.Duration
	entry     func(i int) string
	refused   string
	window    int
	single    bool          // the next client waits for oneByOne
	stop      chan struct{} // closed by close
	keeper    sync.WaitGroup
}

// target is the gateway that a generator connects to, and from where.
type target struct {
	local, gateway        string // addresses
	gatewayID             string
	clientKey, gatewayKey string
	inside                string // the network behind the gateway
	prefix                string // of the clients' names
	window                int    // set-ups under way at once; 0: window
}

// single is the gateway of tenantFile.
var single = target{
	local: lab.OutsideClient, gateway: lab.OutsideGateway, gatewayID: "gw.example",
	clientKey: "client key", gatewayKey: "gateway key", inside: "10.10.0.0/24",
}

// window is how many set-ups are under way at once: enough to keep the gateway
// busy, few enough not to be taken for a flood.
const window = 16

// newGenerator makes n clients in the namespace.
func newGenerator(ns *lab.Namespace, t target, n int) (*generator, error) {
	engine, err := ike.New(t.clientConfig(n))
	if err != nil {
		return nil, err
	}
	g := &generator{
		engine: engine, clients: n, entry: t.entryName, window: cmp.Or(t.window, window), stop: make(chan struct{}),
		sockets: map[uint16]*net.UDPConn{}, incoming: make(chan exchange.Datagram, 4*window),
		begun: map[string]time.Time{},
	}
	for _, port := range []uint16{500, 4500} {
		local := netip.AddrPortFrom(netip.MustParseAddr(t.local), port)
		err := ns.Do(func() (err error) {
			g.sockets[port], err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
			return err
		})
		if err != nil {
			g.close()
			return nil, err
		}
		g.readers.Go(func() { g.read(local) })
	}
	return g, nil
}

// keep goes on answering the gateway after run, until close.
func (g *generator) keep() { g.keeper.Go(func() { g.answer(g.stop) }) }

// answer answers the gateway until stop is closed.
func (g *generator) answer(stop <-chan struct{}) {
	var out exchange.Output
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case d := <-g.incoming:
			_ = g.engine.Receive(time.Now(), d, &out)
		case now := <-tick.C:
			g.engine.Expire(now, &out)
		case <-stop:
			return
		}
		// A gateway that is being killed need not be reached.
		_ = g.carryOut(&out)
	}
}

// close ends the readers.
func (g *generator) close() {
	close(g.stop)
	g.keeper.Wait()
	for _, s := range g.sockets {
		s.Close()
	}
	go func() { // a reader may wait for room
		for range g.incoming {
		}
	}()
	g.readers.Wait()
	close(g.incoming)
}

// clientConfig is n clients, each with an identity of its own.
func (t target) clientConfig(n int) *exchange.Config {
	transform := func(t sa.TransformType, name string) sa.Transform {
		k, ok := sa.TransformByName(t, name)
		if !ok {
			panic("bench: internal error: no transform " + name)
		}
		return k.Transform
	}
	cfg := &exchange.Config{
		Policies: []exchange.Policy{{Name: "p", Lifetime: 24 * time.Hour, Proposal: sa.Proposal{
			transform(sa.Encryption, "aes-256-gcm"), transform(sa.PRF, "sha384"), transform(sa.KeyExchange, "x25519"),
		}}},
		RetransmitBase: 500 * time.Millisecond, RetransmitFactor: 2, RetransmitTries: 5,
		ForceUDP: true,
	}
	child := []exchange.ChildProposal{{Name: "c", Lifetime: 8 * time.Hour, Proposal: sa.Proposal{
		transform(sa.Encryption, "aes-256-gcm"), transform(sa.Sequence, "no-esn"),
	}}}
	for i := range n {
		name := t.entryName(i)
		cfg.Profiles = append(cfg.Profiles, exchange.Profile{
			Name: name, LocalIdentity: auth.MustParseIdentity(name + "@example"),
			RemoteIdentities: []auth.Pattern{auth.MustParsePattern(t.gatewayID)},
			Local:            exchange.PSK{Key: secret.Copy([]byte(t.clientKey))},
			Remote:           exchange.PSK{Key: secret.Copy([]byte(t.gatewayKey))},
		})
		cfg.Entries = append(cfg.Entries, exchange.Entry{
			Name: name, Local: netip.MustParseAddr(t.local), Proposals: child,
			Peer: netip.MustParseAddr(t.gateway), Profile: name, RequestAddress: true,
			RemoteTS: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix(t.inside))},
		})
	}
	return cfg
}

func (t target) entryName(i int) string { return fmt.Sprintf("%sc%d", t.prefix, i) }

// read passes on what arrives on one socket, without the non-ESP marker.
func (g *generator) read(local netip.AddrPort) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := g.sockets[local.Port()].ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		payload := append([]byte(nil), b[:n]...)
		if local.Port() == 4500 {
			if n < 4 || string(payload[:4]) != "\x00\x00\x00\x00" {
				continue
			}
			payload = payload[4:]
		}
		g.incoming <- exchange.Datagram{Local: local, Remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()),
			Payload: payload}
	}
}

// run connects all clients and returns how long that took.
func (g *generator) run() (time.Duration, error) {
	begin := time.Now()
	var out exchange.Output
	g.engine.Activate(begin, &out)
	for range g.window {
		g.initiate(&out)
	}
	give := time.NewTimer(2 * time.Minute)
	defer give.Stop()
	tick := time.NewTicker(100 * time.Millisecond) // for retransmissions
	defer tick.Stop()
	for g.up < g.clients {
		if err := g.carryOut(&out); err != nil {
			return 0, err
		}
		select {
		case d := <-g.incoming:
			// A datagram that changes nothing is no concern of a generator.
			_ = g.engine.Receive(time.Now(), d, &out)
		case now := <-tick.C:
			g.engine.Expire(now, &out)
		case <-give.C:
			return 0, fmt.Errorf("only %d of %d clients are up; last refusal: %q", g.up, g.clients, g.refused)
		}
	}
	return time.Since(begin), g.carryOut(&out)
}

// start readies the generator for oneByOne.
func (g *generator) start() {
	var out exchange.Output
	g.single = true
	g.engine.Activate(time.Now(), &out)
}

// oneByOne connects one client after the other, until more says no or there is
// none left.
func (g *generator) oneByOne(more func() bool) error {
	var out exchange.Output
	tick := time.NewTicker(100 * time.Millisecond) // for retransmissions
	defer tick.Stop()
	for more() && g.next < g.clients {
		g.initiate(&out)
		for limit := time.Now().Add(time.Minute); g.up < g.next; {
			if err := g.carryOut(&out); err != nil {
				return err
			}
			if g.up == g.next {
				break
			}
			select {
			case d := <-g.incoming:
				_ = g.engine.Receive(time.Now(), d, &out)
			case now := <-tick.C:
				g.engine.Expire(now, &out)
				if now.After(limit) {
					return fmt.Errorf("a client does not come up; last refusal: %q", g.refused)
				}
			}
		}
	}
	return nil
}

// initiate starts the next client, if there is one left.
func (g *generator) initiate(out *exchange.Output) {
	if g.next == g.clients {
		return
	}
	name := g.entry(g.next)
	g.next++
	g.begun[name] = time.Now()
	if err := g.engine.Command(time.Now(), exchange.Initiate{Entry: name}, out); err != nil {
		g.refused = err.Error()
	}
}

// carryOut does what the engine asks for.
func (g *generator) carryOut(out *exchange.Output) error {
	for len(out.Send)+len(out.Events) > 0 {
		send, events := out.Send, out.Events
		*out = exchange.Output{}
		for _, d := range send {
			if err := g.send(d); err != nil {
				return err
			}
		}
		for _, e := range events {
			switch e := e.(type) {
			case exchange.ChildUp:
				g.up++
				g.latencies = append(g.latencies, time.Since(g.begun[e.Peer.Profile]))
				if !g.single {
					g.initiate(out)
				}
			case exchange.IKEDown:
				g.refused = e.Reason
			case exchange.Refused:
				g.refused = e.Reason
			}
		}
	}
	*out = exchange.Output{}
	return nil
}

func (g *generator) send(d exchange.Datagram) error {
	payload := d.Payload
	if d.Local.Port() == 4500 && !d.Keepalive {
		payload = append(make([]byte, 4, 4+len(payload)), payload...)
	}
	s := g.sockets[d.Local.Port()]
	if s == nil {
		return errors.New("the engine sends from an unknown port")
	}
	_, err := s.WriteToUDPAddrPort(payload, d.Remote)
	return err
}

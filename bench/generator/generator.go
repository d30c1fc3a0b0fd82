// Package generator is many remote-access clients on one address, for what measures how much
// a gateway carries. It does I/O, on sockets in a namespace of the lab.
package generator

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
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/lab"
	"github.com/warrenvpn/warren/internal/secret"
)

// Unlimited begins a system file whose contexts may have as many SAs, and files, as come.
const Unlimited = `
class "default" {
  limits { all = 0 }
}
`

// Generator is many remote-access clients on one address: one engine, as
// initiator of every connection, on two sockets. It sets up IKE SAs and child
// SAs and carries no traffic. It belongs to one goroutine.
type Generator struct {
	engine   *ike.Engine
	sockets  map[uint16]*net.UDPConn // by local port
	incoming chan exchange.Datagram
	readers  sync.WaitGroup
	begun    map[string]time.Time // by entry
	next     int                  // client to begin next
	// Clients are how many of those that New has made Run connects.
	Clients int
	up      int
	// Latencies are how long each set-up took, in the order of their ends.
	Latencies []time.Duration
	entry     func(i int) string
	refused   string
	window    int
	single    bool          // the next client waits for OneByOne
	stop      chan struct{} // closed by Close
	keeper    sync.WaitGroup
}

// Target is the gateway that a Generator connects to, and from where.
type Target struct {
	Local, Gateway        string // addresses
	GatewayID             string
	ClientKey, GatewayKey string
	Inside                string // the network behind the gateway
	Prefix                string // of the clients' names
	Window                int    // set-ups under way at once; 0: enough to keep a gateway busy
}

// OfPair is a pair of the lab, from a namespace of a client.
func OfPair(client *lab.Namespace) Target {
	return Target{
		Local: client.Addresses()[0].Addr().String(), Gateway: lab.PairOutside, GatewayID: "hub.acme.example",
		ClientKey: "the clients' key", GatewayKey: "the gateway's key", Inside: "10.44.0.0/24",
	}
}

// window is how many set-ups are under way at once: enough to keep the gateway
// busy, few enough not to be taken for a flood.
const window = 16

// New makes n clients in the namespace. Close ends them.
func New(ns *lab.Namespace, t Target, n int) (*Generator, error) {
	engine, err := ike.New(t.clientConfig(n))
	if err != nil {
		return nil, err
	}
	g := &Generator{
		engine: engine, Clients: n, entry: t.entryName, window: cmp.Or(t.Window, window), stop: make(chan struct{}),
		sockets: map[uint16]*net.UDPConn{}, incoming: make(chan exchange.Datagram, 4*window),
		begun: map[string]time.Time{},
	}
	for _, port := range []uint16{500, 4500} {
		local := netip.AddrPortFrom(netip.MustParseAddr(t.Local), port)
		err := ns.Do(func() (err error) {
			g.sockets[port], err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
			return err
		})
		if err != nil {
			g.Close()
			return nil, err
		}
		g.readers.Go(func() { g.read(local) })
	}
	return g, nil
}

// Keep goes on answering the gateway after Run, until Close.
func (g *Generator) Keep() { g.keeper.Go(func() { g.Answer(g.stop) }) }

// Answer answers the gateway until stop is closed.
func (g *Generator) Answer(stop <-chan struct{}) {
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

// Close ends the readers.
func (g *Generator) Close() {
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
func (t Target) clientConfig(n int) *exchange.Config {
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
			Name: name, LocalIdentity: identity.MustParse(name + "@example"),
			RemoteIdentities: []identity.Pattern{identity.MustParsePattern(t.GatewayID)},
			Local:            exchange.PSK{Key: secret.Copy([]byte(t.ClientKey))},
			Remote:           exchange.PSK{Key: secret.Copy([]byte(t.GatewayKey))},
		})
		cfg.Entries = append(cfg.Entries, exchange.Entry{
			Name: name, Local: netip.MustParseAddr(t.Local), Proposals: child,
			Peer: netip.MustParseAddr(t.Gateway), Profile: name, RequestAddress: true,
			RemoteTS: []sa.Selector{sa.SelectorOf(netip.MustParsePrefix(t.Inside))},
		})
	}
	return cfg
}

func (t Target) entryName(i int) string { return fmt.Sprintf("%sc%d", t.Prefix, i) }

// read passes on what arrives on one socket, without the non-ESP marker.
func (g *Generator) read(local netip.AddrPort) {
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

// Run connects all Clients that are not connected yet, and returns how long that took.
func (g *Generator) Run() (time.Duration, error) {
	begin := time.Now()
	var out exchange.Output
	g.engine.Activate(begin, &out)
	for range g.window {
		g.initiate(&out)
	}
	give := time.NewTimer(2*time.Minute + time.Duration(g.Clients)*100*time.Millisecond)
	defer give.Stop()
	tick := time.NewTicker(100 * time.Millisecond) // for retransmissions
	defer tick.Stop()
	for g.up < g.Clients {
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
			return 0, fmt.Errorf("only %d of %d clients are up; last refusal: %q", g.up, g.Clients, g.refused)
		}
	}
	return time.Since(begin), g.carryOut(&out)
}

// Start readies the generator for OneByOne.
func (g *Generator) Start() {
	var out exchange.Output
	g.single = true
	g.engine.Activate(time.Now(), &out)
}

// OneByOne connects one client after the other, until more says no or there is
// none left.
func (g *Generator) OneByOne(more func() bool) error {
	var out exchange.Output
	tick := time.NewTicker(100 * time.Millisecond) // for retransmissions
	defer tick.Stop()
	for more() && g.next < g.Clients {
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
func (g *Generator) initiate(out *exchange.Output) {
	if g.next == g.Clients {
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
func (g *Generator) carryOut(out *exchange.Output) error {
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
				g.Latencies = append(g.Latencies, time.Since(g.begun[e.Peer.Profile]))
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

func (g *Generator) send(d exchange.Datagram) error {
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

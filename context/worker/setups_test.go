package worker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/internal/uptime"
)

// BenchmarkSetups connects clients to one worker, one after the other, and leaves them connected: a
// whole worker but for the kernel beneath and the supervisor above it. It reports beside time and
// allocations, in which those of the clients are, how much the heap has grown for one of them: for
// an IKE SA and its child SA, on the heap of the gateway alone.
//
//	go test ./context/worker -run '^$' -bench Setups -benchtime 8000x -memprofile mem.out
func BenchmarkSetups(b *testing.B) {
	net := esptest.NewNet()
	gateway := startGateway(b, net, b.N)
	before := liveHeap()
	clients := newClients(b, net, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		clients.connect(i)
	}
	b.StopTimer()
	net.Fault, clients = nil, nil
	b.ReportMetric(float64(liveHeap()-before)/float64(b.N), "heap-B/SA")
	if got, err := gateway.Show(context.Background(), control.KindIKESAs); err != nil ||
		len(got.([]control.IKESA)) != b.N {
		b.Errorf("not all of %d clients are connected: %v", b.N, err)
	}
}

// liveHeap returns how many bytes are in use on the heap.
func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what has a finalizer goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// clients are clients of one gateway, each with an identity of its own, on one address: one engine
// that initiates all of their connections.
type clients struct {
	b      *testing.B
	net    *esptest.Net
	engine *ike.Engine
	names  []string
	answer chan exchange.Datagram // from the gateway
}

var clientAddr = netip.MustParseAddr("198.51.100.2")

func newClients(b *testing.B, net *esptest.Net, n int) *clients {
	psk := func(text string) exchange.PSK { return exchange.PSK{Key: secret.Copy([]byte(text))} }
	cfg := &exchange.Config{
		Policies:       []exchange.Policy{{Name: "p", Lifetime: 24 * time.Hour, Proposal: ikeProposal}},
		RetransmitBase: time.Hour, RetransmitFactor: 1, RetransmitTries: 1, ForceUDP: true,
	}
	c := &clients{b: b, net: net, answer: make(chan exchange.Datagram, 8)}
	for i := range n {
		name := fmt.Sprintf("c%d", i)
		c.names = append(c.names, name)
		cfg.Profiles = append(cfg.Profiles, exchange.Profile{
			Name: name, LocalIdentity: identity.MustParse(name + "@example"),
			RemoteIdentities: []identity.Pattern{identity.MustParsePattern("gw.blue.example")},
			Local:            psk("client key"), Remote: psk("gateway key"),
		})
		cfg.Entries = append(cfg.Entries, exchange.Entry{
			Name: name, Local: clientAddr, Peer: netip.MustParseAddr(gatewayAddr), Profile: name, RequestAddress: true,
			Proposals: []exchange.ChildProposal{{Name: "c", Lifetime: 8 * time.Hour, Proposal: espProposal}},
			RemoteTS:  []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.10.0.0/24"))},
		})
	}
	engine, err := ike.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	c.engine = engine
	c.engine.Activate(time.Now(), new(exchange.Output))
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		if d.To.Addr() != clientAddr {
			return []esptest.Datagram{d}
		}
		payload := bytes.Clone(d.Data)
		if d.To.Port() == 4500 {
			payload = payload[4:] // the non-ESP marker
		}
		c.answer <- exchange.Datagram{Local: d.To, Remote: d.From, Payload: payload}
		return nil
	}
	return c
}

// startGateway runs a worker with room for n clients until the benchmark ends.
func startGateway(b *testing.B, net *esptest.Net, n int) *Worker {
	cfg := &Config{
		Tenant: gatewayTenant(n + 1), Devices: []tun.Device{esptest.NewDevice(64)},
		Journal:  replica.Memory{Bytes: make([]byte, 4<<20+n*4096)},
		Counters: replica.Memory{Bytes: make([]byte, esp.CountersSize(n+1))},
		Ask:      func(context.Context, control.Kind, any) error { return nil },
		Tell:     func(control.Event) {},
		Log:      slog.New(slog.DiscardHandler),
		Clock:    time.Now().UnixNano() - int64(uptime.Now()),
	}
	for _, s := range []plane.Socket{{Kind: plane.KindIKE}, {Kind: plane.KindNATT}} {
		port := uint16(500)
		if s.Kind == plane.KindNATT {
			port = 4500
		}
		s.Local = netip.AddrPortFrom(netip.MustParseAddr(gatewayAddr), port)
		s.Conn = net.Conn(s.Local.String(), 256)
		cfg.Sockets = append(cfg.Sockets, s)
	}
	w, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	b.Cleanup(func() { cancel(); <-ended })
	<-w.Ready()
	return w
}

// connect sets up the IKE SA and the child SA of one client.
func (c *clients) connect(i int) {
	var out exchange.Output
	if err := c.engine.Command(time.Now(), exchange.Initiate{Entry: c.names[i]}, &out); err != nil {
		c.b.Fatal(err)
	}
	for {
		for _, d := range out.Send {
			payload := d.Payload
			if d.Local.Port() == 4500 {
				payload = append(make([]byte, 4, 4+len(payload)), payload...)
			}
			c.net.Deliver(esptest.Datagram{From: d.Local, To: d.Remote, Data: payload})
		}
		for _, e := range out.Events {
			switch e := e.(type) {
			case exchange.ChildUp:
				return
			case exchange.IKEDown:
				c.b.Fatal(e.Reason)
			case exchange.Refused:
				c.b.Fatal(e.Reason)
			}
		}
		out = exchange.Output{}
		d := <-c.answer
		if err := c.engine.Receive(time.Now(), d, &out); err != nil {
			c.b.Fatal(err)
		}
	}
}

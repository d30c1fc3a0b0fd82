package worker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/internal/uptime"
)

// BenchmarkSetups connects clients to one worker, one after the other, and leaves them connected: a
// whole worker but for the kernel beneath and the supervisor above it. It reports beside time and
// allocations, in which those of the clients are, how much the heap has grown for one of them: for
// an IKE SA and its child SA, on the heap of the gateway alone; and, where there are enough, the
// median processor time of the last thousand set-ups as a share of that of set-ups 101 to 1,100: a
// set-up should cost the same however many are connected.
//
//	go test ./context/worker -run '^$' -bench Setups -benchtime 8000x -memprofile mem.out
//	make bench-late
func BenchmarkSetups(b *testing.B) {
	net := esptest.NewNet()
	gateway := startGateway(b, net, b.N)
	before := liveHeap()
	clients := newClients(b, net)
	b.ReportAllocs()
	b.ResetTimer()
	costs := make([]time.Duration, b.N)
	for i := range b.N {
		start := processorTime(b) - clients.own
		clients.connect(i)
		costs[i] = processorTime(b) - clients.own - start
	}
	b.StopTimer()
	if early, late := 100, b.N-1000; late > early+1000 {
		b.ReportMetric(float64(median(costs[late:]))/float64(median(costs[early:early+1000])), "late/early")
	}
	net.Fault, clients = nil, nil
	b.ReportMetric(float64(liveHeap()-before)/float64(b.N), "heap-B/SA")
	if got, err := gateway.Show(context.Background(), control.KindIKESAs); err != nil ||
		len(got.([]control.IKESA)) != b.N {
		b.Errorf("not all of %d clients are connected: %v", b.N, err)
	}
}

// processorTime is what the process has used.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median returns that of the list, which it leaves as it is.
func median(list []time.Duration) time.Duration {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

// liveHeap returns how many bytes are in use on the heap.
func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what has a finalizer goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// clients are clients of one gateway, each with an identity of its own, on one address. Each is an
// engine that is dropped when it is connected: what one costs does not depend on how many there are.
type clients struct {
	b      *testing.B
	net    *esptest.Net
	answer chan exchange.Datagram // from the gateway
	own    time.Duration          // processor time of their engines
}

var clientAddr = netip.MustParseAddr("198.51.100.2")

// clientEngine returns the engine of client i.
func clientEngine(i int) (*ike.Engine, error) {
	psk := func(text string) exchange.PSK { return exchange.PSK{Key: secret.Copy([]byte(text))} }
	engine, err := ike.New(&exchange.Config{
		Policies:       []exchange.Policy{{Name: "p", Lifetime: 24 * time.Hour, Proposal: ikeProposal}},
		RetransmitBase: time.Hour, RetransmitFactor: 1, RetransmitTries: 1, ForceUDP: true,
		Profiles: []exchange.Profile{{
			Name: "gateway", LocalIdentity: identity.MustParse(fmt.Sprintf("c%d@example", i)),
			RemoteIdentities: []identity.Pattern{identity.MustParsePattern("gw.blue.example")},
			Local:            psk("client key"), Remote: psk("gateway key"),
		}},
		Entries: []exchange.Entry{{
			Name: "c", Local: clientAddr, Peer: netip.MustParseAddr(gatewayAddr), Profile: "gateway",
			RequestAddress: true,
			Proposals:      []exchange.ChildProposal{{Name: "c", Lifetime: 8 * time.Hour, Proposal: espProposal}},
			RemoteTS:       []sa.Selector{sa.SelectorOf(netip.MustParsePrefix("10.10.0.0/24"))},
		}},
	})
	if err == nil {
		engine.Activate(time.Now(), new(exchange.Output))
	}
	return engine, err
}

func newClients(b *testing.B, net *esptest.Net) *clients {
	c := &clients{b: b, net: net, answer: make(chan exchange.Datagram, 8)}
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		if d.To.Addr() != clientAddr {
			return []esptest.Datagram{d}
		}
		payload := bytes.Clone(d.Data)
		if d.To.Port() == 4500 {
			payload = payload[4:] // the non-ESP marker
		}
		if h, err := wire.ParseHeader(payload); err != nil || !h.Response() {
			return nil // it asks whether an earlier client lives
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
	do := func(f func() error) {
		start := processorTime(c.b)
		if err := f(); err != nil {
			c.b.Fatal(err)
		}
		c.own += processorTime(c.b) - start
	}
	var engine *ike.Engine
	do(func() (err error) { engine, err = clientEngine(i); return err })
	do(func() error { return engine.Command(time.Now(), exchange.Initiate{Entry: "c"}, &out) })
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
		do(func() error { return engine.Receive(time.Now(), d, &out) })
	}
}

package iketest

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

// traffic is the data planes of NUT and TN1, and the wire between them. That of NUT does
// what its journal says, in that order, as a worker's does.
type traffic struct {
	x       *readyNode
	nut, tn *readyPlane
	read    int // records of the journal of NUT

	// What a host behind TN1, or TN1 itself, says to one behind NUT, and the answer.
	out, back esptest.Flow

	mu   sync.Mutex // guards what the planes append to
	seen []passing
}

// passing is an ESP packet on the wire.
type passing struct {
	from netip.Addr
	spi  sa.SPI
}

// readyPlane is one data plane.
type readyPlane struct {
	*plane.Plane
	t    *testing.T
	dev  *esptest.Device
	next uint32
}

// carry starts both planes; TN1 has these child SAs.
func (x *readyNode) carry(children ...sa.Child) *traffic {
	x.t.Helper()
	net := esptest.NewNet()
	c := &traffic{x: x}
	c.speaks("2001:db8:b::10")
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		c.mu.Lock()
		defer c.mu.Unlock()
		if spi, ok := esp.SPI(d.Data); ok {
			c.seen = append(c.seen, passing{d.From.Addr(), spi})
		}
		return []esptest.Datagram{d}
	}
	c.nut, c.tn = x.plane(net, nutAddr), x.plane(net, tnAddr)
	c.follow()
	for _, child := range children {
		c.tn.apply(sa.OpAdd, child, 0)
	}
	return c
}

// speaks has the host with this address speak from now on.
func (c *traffic) speaks(host string) {
	c.out = esptest.NewFlow("["+host+"]:4000", "[2001:db8:a::10]:7")
	c.back = esptest.Flow{Src: c.out.Dst, Dst: c.out.Src}
}

// plane starts one, which ends with the test.
func (x *readyNode) plane(net *esptest.Net, at netip.Addr) *readyPlane {
	x.t.Helper()
	g := &readyPlane{t: x.t, dev: esptest.NewDevice(64)}
	local := netip.AddrPortFrom(at, 0)
	var err error
	g.Plane, err = plane.New(&plane.Config{
		Devices: []tun.Device{g.dev}, Counters: esptest.Counters(16), Crew: -1,
		Sockets: []plane.Socket{{Kind: plane.KindESP, Local: local, Conn: net.Conn(local.String(), 64)}},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	<-g.Ready()
	x.t.Cleanup(func() { cancel(); <-done })
	return g
}

// apply makes one change.
func (g *readyPlane) apply(op sa.Op, c sa.Child, replaces uint64) {
	g.t.Helper()
	if op.Installs() {
		c.Slot = g.next
		g.next++
	}
	if err := g.Apply(&sa.Change{Op: op, Child: c, Replaces: replaces}); err != nil {
		g.t.Fatal(err)
	}
}

// follow does what the journal of NUT says since the last call.
func (c *traffic) follow() {
	c.x.t.Helper()
	for ; c.read < len(c.x.nut.Journal); c.read++ {
		r, err := ike.ParseRecord(c.x.nut.Journal[c.read])
		if err != nil {
			c.x.t.Fatal(err)
		}
		if r.Kind != exchange.RecordChild {
			continue
		}
		child := r.Child.Child // an IKE SA without NAT: ESP is a protocol of its own
		child.LocalAddr = netip.AddrPortFrom(child.LocalAddr.Addr(), 0)
		child.RemoteAddr = netip.AddrPortFrom(child.RemoteAddr.Addr(), 0)
		c.nut.apply(r.Child.Op, child, r.Child.Replaces)
	}
}

// patience is how long a state is waited for that comes within moments on an idle
// machine. Only a test that fails waits so long.
const patience = 2 * time.Minute

// passes sends one packet through the tunnel, and returns the SPI that it had on its way.
func (c *traffic) passes(flow esptest.Flow) sa.SPI {
	c.x.t.Helper()
	from, to, at := c.tn, c.nut, tnAddr
	if flow == c.back {
		from, to, at = c.nut, c.tn, nutAddr
	}
	packet := flow.UDP([]byte("are you there?"))
	from.dev.Inject <- esptest.Plain(packet)
	select {
	case b := <-to.dev.Written:
		got, err := esptest.Split(b)
		if err != nil || len(got) != 1 || !bytes.Equal(got[0], packet) {
			c.x.t.Fatalf("got %x, %v; sent %x", got, err, packet)
		}
	case <-time.After(patience):
		c.x.t.Fatalf("%v does not arrive; TN1 %+v, NUT %+v", flow, c.tn.Stats(), c.nut.Stats())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.seen) - 1; i >= 0; i-- {
		if c.seen[i].from == at {
			return c.seen[i].spi
		}
	}
	return 0
}

// both sends a packet each way, which must go through this child SA of TN1.
func (c *traffic) both(child sa.Child) {
	c.x.t.Helper()
	if spi := c.passes(c.out); spi != child.Out.SPI {
		c.x.t.Errorf("TN1 sends with %v, want %v", spi, child.Out.SPI)
	}
	if spi := c.passes(c.back); spi != child.In.SPI {
		c.x.t.Errorf("NUT sends with %v, want %v", spi, child.In.SPI)
	}
}

// settles sends packets from NUT until they go through this child SA of TN1.
func (c *traffic) settles(child sa.Child) {
	c.x.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if c.passes(c.back) == child.In.SPI {
			return
		}
	}
	c.x.t.Errorf("NUT does not send with %v", child.In.SPI)
}

// dropped has a plane send a packet that NUT must drop, and count with what.
func (c *traffic) dropped(from, by *readyPlane, flow esptest.Flow, what stats.Counter) {
	c.x.t.Helper()
	before := by.Stats().Sum(what)
	from.dev.Inject <- esptest.Plain(flow.UDP([]byte("let me in")))
	for end := time.Now().Add(patience); by.Stats().Sum(what) == before; {
		if time.Now().After(end) {
			c.x.t.Fatalf("%v is not dropped: %+v", flow, by.Stats())
		}
		time.Sleep(100 * time.Microsecond)
	}
	if n := len(c.nut.dev.Written) + len(c.tn.dev.Written); n != 0 {
		c.x.t.Errorf("%d packets have come through", n)
	}
}

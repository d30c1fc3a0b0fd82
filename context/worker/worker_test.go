package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/replica"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/esptest"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/tun"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/internal/uptime"
	"github.com/warrenvpn/warren/resource"
)

const (
	gatewayAddr = "198.51.100.1"
	insideAddr  = "10.10.0.53"
)

// host is one worker in a lab of memory, with what survives its death.
type host struct {
	t        *testing.T
	net      *esptest.Net
	tenant   *spec.Tenant
	name     string // in logs
	addr     string
	journal  replica.Memory
	counters replica.Memory
	failover *control.Failover // nil: no twin
	skew     time.Duration     // by how much its clock is ahead of the true time

	logs   lockedBuffer
	dev    *esptest.Device
	worker *Worker
	kill   context.CancelFunc
	ended  chan struct{}
	claim  func(context.Context, control.Claim) (control.Grant, error) // nil: enough for all

	mu    sync.Mutex // guards what follows
	asked []string   // of the supervisor
	conns []*esptest.Conn
}

// lockedBuffer collects logs of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(text))
}

func newHost(t *testing.T, net *esptest.Net, tenant *spec.Tenant, addr string) *host {
	h := &host{
		t: t, net: net, tenant: tenant, name: addr, addr: addr,
		journal:  replica.Memory{Bytes: make([]byte, 4<<20)},
		counters: replica.Memory{Bytes: make([]byte, esp.CountersSize(64))},
	}
	t.Cleanup(func() {
		if h.worker != nil {
			h.stop()
		}
	})
	return h
}

// start runs a worker on what earlier ones left behind.
func (h *host) start() {
	h.t.Helper()
	h.dev = esptest.NewDevice(64)
	var conns []*esptest.Conn
	var sockets []plane.Socket
	for _, s := range []struct {
		kind plane.Kind
		port uint16
	}{{plane.KindIKE, 500}, {plane.KindNATT, 4500}} {
		local := netip.AddrPortFrom(netip.MustParseAddr(h.addr), s.port)
		conns = append(conns, h.net.Conn(local.String(), 256))
		sockets = append(sockets, plane.Socket{Kind: s.kind, Local: local, Conn: conns[len(conns)-1]})
	}
	h.mu.Lock()
	h.conns = conns
	h.mu.Unlock()
	w, err := New(&Config{
		Tenant: h.tenant, Devices: []tun.Device{h.dev}, Sockets: sockets,
		Journal: h.journal, Counters: h.counters, Failover: h.failover,
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(&h.logs, testWriter{h.t, h.name}),
			&slog.HandlerOptions{Level: slog.LevelDebug})),
		Ask: func(_ context.Context, kind control.Kind, body any) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked = append(h.asked, fmt.Sprintf("%s %+v", kind, body))
			return nil
		},
		Claim: h.claim,
		Clock: time.Now().Add(h.skew).UnixNano() - int64(uptime.Now()),
	})
	if err != nil {
		h.t.Fatalf("%s: %v", h.addr, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.worker, h.kill, h.ended = w, cancel, make(chan struct{})
	go func() {
		defer close(h.ended)
		w.Run(ctx)
	}()
	<-w.Ready()
}

// sends reports whether c is a socket of the host's.
func (h *host) sends(c *esptest.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.conns, c)
}

// stop ends the worker without a word to anybody, as kill -9 does.
func (h *host) stop() {
	h.kill()
	<-h.ended
}

// facts is what a worker answers to the questions of its supervisor.
type facts struct {
	IKESAs      []control.IKESA
	Sessions    []control.Session
	Resources   []control.Resource
	Replication *control.Replication
}

func (h *host) facts() facts {
	h.t.Helper()
	show := func(about control.Kind) any {
		answer, err := h.worker.Show(context.Background(), about)
		if err != nil {
			h.t.Fatalf("%s: %s: %v", h.addr, about, err)
		}
		return answer
	}
	return facts{
		IKESAs: show(control.KindIKESAs).([]control.IKESA), Sessions: show(control.KindSessions).([]control.Session),
		Resources:   show(control.KindResources).([]control.Resource),
		Replication: show(control.KindProgress).(*control.Replication),
	}
}

// established returns the IKE SAs that are up.
func (h *host) established() []control.IKESA {
	h.t.Helper()
	var up []control.IKESA
	for _, s := range h.facts().IKESAs {
		if !s.Established.IsZero() {
			up = append(up, s)
		}
	}
	return up
}

// assigned returns the address that the client was given.
func (h *host) assigned() string {
	h.t.Helper()
	up := h.established()
	if len(up) != 1 || len(up[0].Assigned) != 1 || len(up[0].ChildSAs) != 1 {
		h.t.Fatalf("%s is not up: %+v", h.addr, up)
	}
	return up[0].Assigned[0].String()
}

// testWriter shows logs with the test that wrote them.
type testWriter struct {
	t    *testing.T
	addr string
}

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s: %s", w.addr, bytes.TrimSpace(p))
	return len(p), nil
}

// ping sends a packet through the tunnel both ways and reports whether both
// arrived.
func ping(client, gateway *host, inner string) bool {
	flow := esptest.NewFlow(inner+":1000", insideAddr+":2000")
	back := esptest.Flow{Src: flow.Dst, Dst: flow.Src}
	return passes(client.dev, gateway.dev, flow) && passes(gateway.dev, client.dev, back)
}

func passes(from, to *esptest.Device, flow esptest.Flow) bool {
	for len(to.Written) > 0 {
		<-to.Written
	}
	from.Inject <- esptest.Plain(flow.UDP([]byte("are you there?")))
	synctest.Wait()
	return len(to.Written) == 1
}

func secrets(texts ...string) []secret.Value {
	var out []secret.Value
	for _, s := range texts {
		out = append(out, secret.Copy([]byte(s)))
	}
	return out
}

var (
	ikeProposal = sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}, {Type: sa.PRF, ID: sa.PRFHMACSHA256},
		{Type: sa.KeyExchange, ID: sa.KEX25519},
	}
	espProposal = sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 256}, {Type: sa.Sequence, ID: sa.SeqExtended},
		{Type: sa.Sequence, ID: sa.SeqShort},
	}
	timers = spec.IKE{
		CookieThreshold: 100, MaxHalfOpen: 1000, HalfOpenTimeout: 30 * time.Second,
		RetransmitBase: time.Second, RetransmitFactor: 1.5, RetransmitTries: 6, NATKeepalive: 20 * time.Second,
	}
)

// gatewayTenant is a remote-access gateway with a pool of this many addresses.
func gatewayTenant(pool int) *spec.Tenant {
	end := netip.MustParseAddr("10.99.0.10")
	for range pool - 1 {
		end = end.Next()
	}
	return &spec.Tenant{
		Name: "blue", Class: "bronze",
		Interfaces: []spec.Interface{
			{Name: "outside", Addresses: []netip.Prefix{netip.MustParsePrefix(gatewayAddr + "/24")}},
		},
		Pools:       []spec.Pool{{Name: "staff", Start: netip.MustParseAddr("10.99.0.10"), End: end}},
		IKEPolicies: []spec.IKEPolicy{{Name: "10", Proposal: ikeProposal, Lifetime: 24 * time.Hour}},
		GroupPolicies: []spec.GroupPolicy{{
			Name: "staff", PolicyAttributes: spec.PolicyAttributes{
				SplitTunnel:     []netip.Prefix{netip.MustParsePrefix("10.10.0.0/24")},
				TunnelProtocols: []spec.Protocol{spec.IKEv2}, SimultaneousLogins: 3,
			},
		}},
		TunnelGroups: []spec.TunnelGroup{{
			Name: "DefaultRAGroup", Type: spec.RemoteAccess, Policy: "staff", AddressPools: []string{"staff"},
			LocalIdentity: identity.MustParse("gw.blue.example"), Local: spec.PSK{Key: 1}, Remote: spec.PSK{Key: 2},
			DPD: 30 * time.Second,
		}},
		CryptoMaps: []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{{
			Name: "any", Dynamic: true, ReverseRoute: true,
			Proposals: []spec.IPsecProposal{{Name: "strong", Proposal: espProposal, Lifetime: 8 * time.Hour}},
		}}}},
		IKE: timers, DataPlane: spec.DataPlane{ReplayWindow: 1024, ForceUDP: true, DF: sa.DFCopy},
		Secrets: secrets("gateway key", "client key"),
	}
}

// clientTenant is a remote-access client at addr.
func clientTenant(addr, name string) *spec.Tenant {
	return &spec.Tenant{
		Name: name,
		Interfaces: []spec.Interface{{Name: "outside",
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(addr), 24)}}},
		IKEPolicies: []spec.IKEPolicy{{Name: "10", Proposal: ikeProposal, Lifetime: 24 * time.Hour}},
		TunnelGroups: []spec.TunnelGroup{{
			Name: "hub", Type: spec.SiteToSite, LocalIdentity: identity.MustParse(name),
			RemoteIdentities: []identity.Pattern{identity.MustParsePattern("gw.blue.example")},
			Local:            spec.PSK{Key: 2}, Remote: spec.PSK{Key: 1}, DPD: 30 * time.Second,
		}},
		CryptoMaps: []spec.CryptoMap{{Interface: "outside", Entries: []spec.CryptoEntry{{
			Name: "hub", Peer: netip.MustParseAddr(gatewayAddr), TunnelGroup: "hub", Initiate: true,
			RequestAddress: true,
			Remote:         []netip.Prefix{netip.MustParsePrefix("10.10.0.0/24")},
			Proposals:      []spec.IPsecProposal{{Name: "strong", Proposal: espProposal, Lifetime: 8 * time.Hour}},
		}}}},
		IKE: timers, DataPlane: spec.DataPlane{ReplayWindow: 1024, ForceUDP: true, DF: sa.DFCopy},
		Secrets: secrets("gateway key", "client key"),
	}
}

// countInits counts the IKE_SA_INIT messages on the wire.
func countInits(net *esptest.Net) *int {
	n := new(int)
	before := net.Fault
	net.Fault = func(d esptest.Datagram) []esptest.Datagram {
		if d.To.Port() == 500 && len(d.Data) > 18 && d.Data[18] == 34 {
			*n++
		}
		if before != nil {
			return before(d)
		}
		return []esptest.Datagram{d}
	}
	return n
}

func TestTunnelSurvivesDeadWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		inits := countInits(net)
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		client := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		gateway.start()
		client.start()
		time.Sleep(time.Second)
		inner := client.assigned()
		if !ping(client, gateway, inner) {
			t.Fatal("no traffic through a new tunnel")
		}
		first := *inits

		for _, victim := range []*host{gateway, client, gateway} {
			victim.stop()
			victim.start()
			if !ping(client, gateway, inner) {
				t.Errorf("no traffic after the worker at %s was killed", victim.addr)
			}
		}
		time.Sleep(5 * time.Minute) // liveness has to pass several times
		if !ping(client, gateway, inner) {
			t.Error("no traffic after five quiet minutes")
		}
		if *inits != first {
			t.Errorf("%d IKE_SA_INIT after the first set-up", *inits-first)
		}
		if s := gateway.facts().Sessions; len(s) != 1 || s[0].User != "alice@example" ||
			s[0].Assigned[0].String() != inner || s[0].BytesIn == 0 {
			t.Errorf("sessions of the gateway: %+v", s)
		}
		for _, h := range []*host{client, gateway} {
			h.stop()
		}
	})
}

func TestClientAddressReachesTheSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		client := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
		gateway.start()
		client.start()
		time.Sleep(time.Second)
		client.mu.Lock()
		got := fmt.Sprint(client.asked)
		client.mu.Unlock()
		want := "address {Add:true Prefix:10.99.0.10/32} " +
			"routes {Reset:false More:false Add:[{Destination:10.10.0.0/24 Source:10.99.0.10}] " +
			"Remove:[] Answer:[] Silence:[]}]"
		if !strings.HasSuffix(got, want) {
			t.Errorf("asked the supervisor for\n%s, want\n%s", got, want)
		}
		client.stop() // the next worker tells everything anew, the address first
		client.asked = nil
		client.start()
		time.Sleep(time.Second)
		client.mu.Lock()
		got = fmt.Sprint(client.asked)
		client.mu.Unlock()
		want = "[address {Add:true Prefix:10.99.0.10/32} " +
			"routes {Reset:true More:false Add:[{Destination:10.10.0.0/24 Source:10.99.0.10}] " +
			"Remove:[] Answer:[] Silence:[]}]"
		if got != want {
			t.Errorf("the next worker asked for\n%s, want\n%s", got, want)
		}
		client.stop()
		gateway.stop()
	})
}

func TestLimitsAndPools(t *testing.T) {
	tests := []struct {
		name   string
		change func(*spec.Tenant)
		log    string
		denied int64
	}{
		{"class limit", func(t *spec.Tenant) { t.Limits.Sessions, t.Limits.BurstSessions = 1, resource.None },
			"the limit of the context's class is reached", 1},
		{"pool exhausted", func(t *spec.Tenant) { t.Pools[0].End = t.Pools[0].Start }, "no address is free", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := esptest.NewNet()
				tenant := gatewayTenant(4)
				tt.change(tenant)
				gateway := newHost(t, net, tenant, gatewayAddr)
				alice := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
				bob := newHost(t, net, clientTenant("198.51.100.3", "bob@example"), "198.51.100.3")
				gateway.start()
				alice.start()
				time.Sleep(time.Second)
				bob.start()
				time.Sleep(time.Second)
				if !gateway.logs.contains(tt.log) {
					t.Errorf("the gateway's log does not say %q", tt.log)
				}
				for _, r := range gateway.facts().Resources {
					if r.Resource == "vpn_anyconnect" && r.Denied < tt.denied {
						t.Errorf("usage %+v, want %d denied", r, tt.denied)
					}
				}
				for _, s := range bob.established() {
					if len(s.ChildSAs) > 0 {
						t.Errorf("bob has a child SA: %+v", s)
					}
				}
				if !ping(alice, gateway, alice.assigned()) {
					t.Error("alice's tunnel does not work")
				}
				for _, h := range []*host{bob, alice, gateway} {
					h.stop()
				}
			})
		})
	}
}

func TestLogoffEndsSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		tenant := clientTenant("198.51.100.2", "alice@example")
		tenant.CryptoMaps[0].Entries[0].Initiate = true
		client := newHost(t, net, tenant, "198.51.100.2")
		gateway.start()
		client.start()
		time.Sleep(time.Second)
		inner := client.assigned()
		before := gateway.established()[0].SPIr
		for _, which := range []control.Logoff{{User: "nobody"}, {Address: netip.MustParseAddr("192.0.2.9")}} {
			if n, err := gateway.worker.Order(t.Context(), which, logoff); n != 0 || err != nil {
				t.Errorf("Logoff(%+v) = %d, %v", which, n, err)
			}
		}
		n, err := gateway.worker.Order(t.Context(), control.Logoff{User: "alice@example"}, logoff)
		if n != 1 || err != nil {
			t.Fatalf("Logoff = %d, %v", n, err)
		}
		time.Sleep(time.Minute) // an entry that initiates comes back
		if got := client.assigned(); got != inner {
			t.Errorf("came back with %s, had %s", got, inner)
		}
		if gateway.established()[0].SPIr == before {
			t.Error("the IKE SA is still the old one")
		}
		client.stop()
		gateway.stop()
	})
}

// TestRekeyOfPeer: the SAs of one peer are replaced on demand, the IKE SA and its child
// SA, with traffic passing before and after; those of nobody are not.
func TestRekeyOfPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := esptest.NewNet()
		gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
		tenant := clientTenant("198.51.100.2", "alice@example")
		tenant.CryptoMaps[0].Entries[0].Initiate = true
		client := newHost(t, net, tenant, "198.51.100.2")
		gateway.start()
		client.start()
		time.Sleep(time.Second)
		before := gateway.established()[0]
		for want, which := range []control.Logoff{{Address: netip.MustParseAddr("192.0.2.9")},
			{Address: netip.MustParseAddr("198.51.100.2")}} {
			if n, err := gateway.worker.Order(t.Context(), which, rekey); n != want || err != nil {
				t.Fatalf("%+v: got %d, %v, want %d", which, n, err, want)
			}
		}
		time.Sleep(10 * time.Second)
		after := gateway.established()
		if len(after) != 1 || len(after[0].ChildSAs) != 1 {
			t.Fatalf("there are %+v", after)
		}
		if after[0].SPIr == before.SPIr || after[0].ChildSAs[0].SPIIn == before.ChildSAs[0].SPIIn {
			t.Errorf("the SPIs are the old ones: %+v, before %+v", after[0], before)
		}
		if !ping(client, gateway, client.assigned()) {
			t.Error("the tunnel does not work")
		}
		client.stop()
		gateway.stop()
	})
}

// TestBadWire sets tunnels up over a wire that loses, doubles and delays: both
// are up in the end, and traffic passes.
func TestBadWire(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := esptest.NewNet()
				r := rand.New(rand.NewPCG(seed, 1))
				var bad atomic.Bool
				bad.Store(true)
				net.Fault = func(d esptest.Datagram) []esptest.Datagram {
					switch n := r.IntN(10); {
					case !bad.Load() || n > 3:
						return []esptest.Datagram{d}
					case n == 0:
						return []esptest.Datagram{d, d}
					case n == 1:
						time.AfterFunc(time.Duration(r.IntN(3000))*time.Millisecond, func() { net.Deliver(d) })
					}
					return nil
				}
				gateway := newHost(t, net, gatewayTenant(4), gatewayAddr)
				client := newHost(t, net, clientTenant("198.51.100.2", "alice@example"), "198.51.100.2")
				gateway.start()
				client.start()
				time.Sleep(3 * time.Minute)
				gateway.stop()
				gateway.start()
				time.Sleep(3 * time.Minute)
				bad.Store(false)
				time.Sleep(2 * time.Minute)
				if !ping(client, gateway, client.assigned()) {
					t.Error("no traffic")
				}
				client.stop()
				gateway.stop()
			})
		})
	}
}

// TestUnreadableMemory: a worker that cannot read what an earlier one has left
// says so in a way that the supervisor can act on.
func TestUnreadableMemory(t *testing.T) {
	for name, damage := range map[string]func(c *Config){
		"journal":  func(c *Config) { copy(c.Journal.Bytes[256:], "garbage") },
		"counters": func(c *Config) { c.Counters.Bytes[0] = 99 },
		"records": func(c *Config) {
			store, err := journal.Open(c.Journal.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Append([]byte{0}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &Config{
				Tenant: gatewayTenant(8), Log: slog.New(slog.DiscardHandler),
				Journal:  replica.Memory{Bytes: make([]byte, 4<<20)},
				Counters: replica.Memory{Bytes: make([]byte, esp.CountersSize(4))},
				Devices:  []tun.Device{esptest.NewDevice(1)},
			}
			damage(cfg)
			_, err := New(cfg)
			var caused *control.Error
			if !errors.As(err, &caused) || caused.Cause != control.CauseMemory {
				t.Errorf("got %v", err)
			}
		})
	}
}

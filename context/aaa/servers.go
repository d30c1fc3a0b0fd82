package aaa

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/aaa/radius"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/secret"
)

// ServersConfig is a group of servers, and how they are reached.
type ServersConfig struct {
	Tenant string // what the gateway calls itself: the NAS-Identifier
	Group  spec.AAAServerGroup
	Keys   []secret.Value // by server
	// Connect returns as many sockets as asked for, connected to a server of the group. It
	// is called from goroutines of its own, and may take as long as ctx lasts.
	Connect func(ctx context.Context, server netip.AddrPort, sockets int) ([]net.Conn, error)
	// Tell is told what an operator should know of the servers, by one goroutine. It does
	// not block.
	Tell func(radius.Event)
}

// Servers are an Authority: RADIUS servers, to which EAP is passed through (RFC 3579). What
// waits for them is bounded by the half-open IKE SAs, each of which has at most one message
// here, and by what radius.Client lets wait.
type Servers struct {
	cfg *ServersConfig

	wake   chan struct{} // has a value while there may be orders
	mu     sync.Mutex
	orders []func(*asking, time.Time) // guarded by mu
	status []radius.ServerStatus      // guarded by mu; of the last moment in which something happened
}

// NewServers returns the authority of a group, which works while Run does.
func NewServers(cfg *ServersConfig) *Servers {
	s := &Servers{cfg: cfg, wake: make(chan struct{}, 1)}
	s.status = s.client().Status()
	return s
}

// client returns the client that the servers are asked with.
func (s *Servers) client() *radius.Client {
	g := &s.cfg.Group
	c := &radius.Config{MaxFailed: g.MaxFailed, DeadTime: g.DeadTime}
	for i := range g.Servers {
		x := &g.Servers[i]
		retries := x.Retries
		if retries == 0 {
			retries = -1
		}
		c.Servers = append(c.Servers, radius.Server{Name: x.Endpoint().String(), Key: s.cfg.Keys[i],
			Timeout: x.Timeout, Retries: retries, Sockets: socketsPerServer})
	}
	return radius.NewClient(c)
}

// Status describes the servers.
func (s *Servers) Status() []radius.ServerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Begin implements Authority.
func (s *Servers) Begin(r *Request) Conversation {
	c := &passing{servers: s, identity: r.Identity, group: r.Group}
	c.attributes, c.unfit = s.describe(r)
	return c
}

// put has an order carried out by Run.
func (s *Servers) put(f func(*asking, time.Time)) {
	s.mu.Lock()
	s.orders = append(s.orders, f)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns the orders that wait.
func (s *Servers) take() []func(*asking, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.orders
	s.orders = nil
	return out
}

// Run implements Authority.
func (s *Servers) Run(ctx context.Context) error {
	a := newAsking(ctx, s)
	defer a.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if at, ok := a.client.Deadline(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
			for _, f := range s.take() {
				f(a, time.Now())
			}
		case p := <-a.heard:
			a.hear(time.Now(), p)
		case c := <-a.connected:
			a.connect(c)
		case <-timer.C:
			a.client.Expire(time.Now(), &a.out)
		}
		a.carryOut(time.Now())
		status := a.client.Status()
		s.mu.Lock()
		s.status = status
		s.mu.Unlock()
	}
}

package pair

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/fault"
)

// peerCalls bounds connections of the peer that wait to be served.
const peerCalls = 8

// callers are the connections that the peer's supervisor has made: a
// net.Listener for the API.
type callers struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex // protects open
	open map[*call]struct{}
}

// call is one of those connections, until it is closed.
type call struct {
	net.Conn
	key failover.KeyID // that has authenticated it
	of  *callers
}

// Close implements net.Conn.
func (c *call) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func newCallers() *callers {
	return &callers{conns: make(chan net.Conn, peerCalls), closed: make(chan struct{}), open: make(map[*call]struct{})}
}

// without returns the connections that none of the keys has authenticated.
func (c *callers) without(keys []failover.KeyID) (list []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.open {
		if !slices.Contains(keys, one.key) {
			list = append(list, one)
		}
	}
	return list
}

// Accept implements net.Listener.
func (c *callers) Accept() (net.Conn, error) {
	select {
	case conn := <-c.conns:
		return conn, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (c *callers) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// Addr implements net.Listener.
func (c *callers) Addr() net.Addr { return &net.UnixAddr{Name: "failover peer", Net: "unix"} }

// offer leaves a connection to the API, or closes it where nobody takes it.
func (c *callers) offer(conn *call) {
	c.mu.Lock()
	c.open[conn] = struct{}{}
	c.mu.Unlock()
	select {
	case <-c.closed:
		conn.Close()
		return
	default:
	}
	select {
	case c.conns <- conn:
	default:
		conn.Close()
	}
}

// Callers are the connections of the other node's supervisor, for the API to serve.
func (p *Pair) Callers() net.Listener { return p.callers }

// admit authenticates the peer's supervisor. Its connection lives no longer than the key
// is taken.
func (p *Pair) admit(ctx context.Context, conn *net.TCPConn, key secret.Value) error {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	peer, err := link.AcceptPeer(ctx, conn, key, p.cfg.Unit)
	if err != nil {
		return err
	}
	p.callers.offer(&call{peer, failover.KeyIDOf(key), p.callers})
	p.endCalls() // the key may have been taken out meanwhile
	return nil
}

// endCalls closes the connections of the peer whose key is taken no more.
func (p *Pair) endCalls() {
	for _, c := range p.callers.without(keyIDs(p.failoverKeys())) {
		c.Close()
	}
}

// callPeer connects to the peer's supervisor.
func (p *Pair) callPeer(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	var links []*uplink
	var key secret.Value
	p.do(func(now time.Time, _ *failover.Output) {
		if p.node != nil {
			links, key = p.heardLinks(now), p.sessionKey()
		}
	})
	err := errors.New("system: the peer is not heard on any failover link")
	for _, l := range links {
		var conn net.Conn
		conn, err = link.DialPeer(ctx, l.cfg.Address.Addr(), netip.AddrPortFrom(l.cfg.Peer, link.ReplicationPort), key,
			p.cfg.Unit)
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// Ask asks the API of the other node's supervisor. The caller closes the answer's body.
func (p *Pair) Ask(r *http.Request) (*http.Response, error) {
	resp, err := p.peer.RoundTrip(r)
	if err != nil {
		return nil, &fault.Error{Code: fault.CodeRefused, Reason: fmt.Sprintf("the peer cannot be asked: %v", err),
			Hint: "`warren show failover` shows the links to it"}
	}
	return resp, nil
}

// PeerAlive tells whether the other node is heard.
func (p *Pair) PeerAlive() (alive bool) {
	p.do(func(time.Time, *failover.Output) { alive = p.node != nil && p.node.PeerAlive() })
	return alive
}

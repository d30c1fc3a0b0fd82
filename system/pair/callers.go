package pair

import (
	"net"
	"slices"
	"sync"

	"github.com/warrenvpn/warren/failover"
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

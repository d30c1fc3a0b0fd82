package pair

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/secret"
	"github.com/warrenvpn/warren/system/fault"
)

// peerChannel is the channel between the two supervisors: what the other one has connected,
// and the way to its API.
type peerChannel struct {
	*machine
	unit    failover.Unit // this one
	links   *links
	keys    *keyring
	callers *callers        // connections of the peer's supervisor
	to      *http.Transport // it
}

func newPeerChannel(x *machine, unit failover.Unit, links *links, keys *keyring) *peerChannel {
	c := &peerChannel{machine: x, unit: unit, links: links, keys: keys, callers: newCallers()}
	c.to = &http.Transport{DialContext: c.dial, MaxIdleConns: 1, IdleConnTimeout: 5 * time.Second}
	return c
}

// close ends what the two supervisors have to say to each other.
func (c *peerChannel) close() {
	c.callers.Close()
	c.to.CloseIdleConnections()
}

// rekey closes what only a key has authenticated that is taken no more.
func (c *peerChannel) rekey() {
	c.endCalls()
	c.to.CloseIdleConnections()
}

// admit authenticates the peer's supervisor. Its connection lives no longer than the key
// is taken.
func (c *peerChannel) admit(ctx context.Context, conn *net.TCPConn, key secret.Value) error {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	peer, err := link.AcceptPeer(ctx, conn, key, c.unit)
	if err != nil {
		return err
	}
	c.callers.offer(&call{peer, failover.KeyIDOf(key), c.callers})
	c.endCalls() // the key may have been taken out meanwhile
	return nil
}

// endCalls closes the connections of the peer whose key is taken no more.
func (c *peerChannel) endCalls() {
	for _, one := range c.callers.without(keyIDs(c.keys.all())) {
		one.Close()
	}
}

// dial connects to the peer's supervisor.
func (c *peerChannel) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	var links []*uplink
	var key secret.Value
	c.do(func(now time.Time, _ *failover.Output) {
		if c.node != nil {
			links, key = c.links.heard(now), c.keys.forSession(c.node)
		}
	})
	err := errors.New("system: the peer is not heard on any failover link")
	for _, l := range links {
		var conn net.Conn
		conn, err = link.DialPeer(ctx, l.cfg.Address.Addr(), netip.AddrPortFrom(l.cfg.Peer, link.ReplicationPort), key,
			c.unit)
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// Ask asks the API of the other node's supervisor. The caller closes the answer's body.
func (p *Pair) Ask(r *http.Request) (*http.Response, error) {
	resp, err := p.peer.to.RoundTrip(r)
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

// Callers are the connections of the other node's supervisor, for the API to serve.
func (p *Pair) Callers() net.Listener { return p.peer.callers }

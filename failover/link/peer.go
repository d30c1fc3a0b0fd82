package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// PeerName is what the greeting of a connection between the two supervisors
// says in place of a context: no context has such a name.
const PeerName = "/peer"

// peerIdentity is who supervisors are to each other.
var peerIdentity = identity{label: "warren peer identity 1 ", protocol: "warren-peer/1"}

// DialPeer connects to the peer's supervisor. Either unit may; the one that
// does is the TLS client. Both have proven to hold the failover key when it
// returns.
func DialPeer(ctx context.Context, local netip.Addr, peer netip.AddrPort, key secret.Value,
	unit failover.Unit) (net.Conn, error) {
	cfg, err := peerIdentity.config(key, unit)
	if err != nil {
		return nil, err
	}
	conn, err := Dial(ctx, local, peer, key, PeerName)
	if err != nil {
		return nil, err
	}
	return shake(ctx, tls.Client(conn, cfg))
}

// AcceptPeer authenticates the supervisor at the other end of a connection
// whose greeting said PeerName. It owns conn in any case.
func AcceptPeer(ctx context.Context, conn net.Conn, key secret.Value, unit failover.Unit) (net.Conn, error) {
	cfg, err := peerIdentity.config(key, unit)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return shake(ctx, tls.Server(conn, cfg))
}

func shake(ctx context.Context, conn *tls.Conn) (net.Conn, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("link: authenticating the peer: %w", err), conn.NetConn().Close())
	}
	return plain{conn}, nil
}

// plain hides that a connection is a tls.Conn: package http would look for what
// to do with a protocol that it does not know.
type plain struct{ net.Conn }

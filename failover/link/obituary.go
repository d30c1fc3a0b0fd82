package link

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// knockRest is the time between two connections that Refuses makes.
const knockRest = time.Millisecond

// Refuses reports whether the peer's kernel refuses connections to its supervisor:
// nobody listens there any more, while the machine lives. A supervisor that is just
// ending may still get a connection, and never asks for a greeting; then another one is
// made, until ctx ends. It blocks until then at most. Nothing authenticates the refusal.
func Refuses(ctx context.Context, local netip.Addr, peer netip.AddrPort) bool {
	for ctx.Err() == nil {
		switch asks, err := knock(ctx, local, peer); {
		case errors.Is(err, syscall.ECONNREFUSED):
			return true
		case asks, !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET):
			return false
		}
		select {
		case <-ctx.Done():
		case <-time.After(knockRest):
		}
	}
	return false
}

// knock makes a connection, and reports whether a greeting is asked for.
func knock(ctx context.Context, local netip.Addr, peer netip.AddrPort) (asks bool, err error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}}
	conn, err := d.DialContext(ctx, "tcp", peer.String())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var nonce [greetingNonce]byte
	_, err = io.ReadFull(conn, nonce[:])
	return err == nil, err
}

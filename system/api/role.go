package api

import (
	"context"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Role is what a caller may do.
type Role string

// The roles. An admin may do all that others may; the other node of a failover
// pair may read, and hand over what is active there.
const (
	RoleRead  Role = "read"
	RolePeer  Role = "peer"
	RoleAdmin Role = "admin"
)

// includes reports whether a caller with role r may use what needs role need.
func (r Role) includes(need Role) bool {
	return r == RoleAdmin || r == need || r == RolePeer && need == RoleRead
}

// caller is the process at the other end, as the kernel knows it.
type caller struct {
	uid, pid int
	peer     bool // not a process of this machine, but the peer's supervisor
}

// role of a caller: root, and the user that runs the server, are admins. Anyone
// else reaches the socket only where the operator opened it to a group (api { group }
// in the system block), and may only read.
func (c caller) role() Role {
	if c.peer {
		return RolePeer
	}
	if c.uid == 0 || c.uid == os.Geteuid() {
		return RoleAdmin
	}
	return RoleRead
}

type callerKey struct{}

// withPeer is the http.Server's ConnContext for connections of the peer's
// supervisor, which has proven who it is.
func withPeer(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{uid: -1, peer: true})
}

// withCaller is the http.Server's ConnContext: it asks the kernel who connected.
// A connection whose peer is unknown carries no caller and is refused.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	who, err := callerOf(c)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, callerKey{}, who)
}

func callerOf(c net.Conn) (caller, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return caller{}, fmt.Errorf("api: caller on %T is not known", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return caller{}, fmt.Errorf("api: reading caller: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return caller{}, fmt.Errorf("api: reading caller: %w", err)
	}
	if credErr != nil {
		return caller{}, fmt.Errorf("api: reading caller: %w", credErr)
	}
	return caller{uid: int(cred.Uid), pid: int(cred.Pid)}, nil
}

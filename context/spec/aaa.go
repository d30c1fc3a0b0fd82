package spec

import (
	"net/netip"
	"time"
)

// AAAServerGroup are servers that know users: each of them knows all, and they are asked in
// their order.
type AAAServerGroup struct {
	Name    string
	Servers []AAAServer // of RADIUS, at least one
	// MaxFailed is how many requests in a row a server leaves without an answer before it is
	// dead, and DeadTime how long it is left alone then.
	MaxFailed int
	DeadTime  time.Duration
}

// AAAServer is a RADIUS server.
type AAAServer struct {
	Address   netip.Addr
	Port      uint16
	Interface string    // where it is reached from its address; "": as the routes say
	Key       SecretRef // the shared secret
	// Timeout is how long the first answer is waited for; each further wait is twice as
	// long. Retries is how often a request is sent again.
	Timeout time.Duration
	Retries int
}

// Endpoint returns where the server listens.
func (s *AAAServer) Endpoint() netip.AddrPort { return netip.AddrPortFrom(s.Address, s.Port) }

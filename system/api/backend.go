package api

import (
	"context"
	"io"

	"github.com/warrenvpn/warren/context/control"
)

// Backend is what the API asks: the supervisor. Its methods may be called by
// many goroutines at once, and those with a context return when it ends.
//
// An error that is, or wraps, an *fault.Error decides the HTTP status and carries its
// hint to the operator; every other error is an internal one.
type Backend interface {
	Files
	Certificates
	Policies
	Configurations
	Pairs
	Operations
	Orphans
	Streams
	Backups

	// Status tells about the system as a whole. It never waits for a worker.
	Status() Status

	// Contexts lists every configured context, also those that failed or are
	// stopping. It never waits for a worker.
	Contexts() []Tenant

	// IKESAs, Sessions, AAAServers and IPsecStats ask the worker of a context one question each.
	// NoContext when there is no such context, NotReady when its worker cannot be
	// asked.
	IKESAs(ctx context.Context, name string) ([]control.IKESA, error)
	Sessions(ctx context.Context, name string) ([]control.Session, error)
	AAAServers(ctx context.Context, name string) ([]control.AAAServer, error)
	IPsecStats(ctx context.Context, name string) (control.IPsecStats, error)

	// Resources asks the worker of a context for what it counts, and adds what the
	// supervisor counts (cpu, memory, pids). With NotReady may come what the supervisor
	// counts, such as why a worker was killed.
	Resources(ctx context.Context, name string) ([]control.Resource, error)

	// Logoff ends sessions of a context with a proper DELETE.
	Logoff(ctx context.Context, name string, which control.Logoff) (control.LogoffDone, error)

	// Keys returns the keys of a context's SAs, for Wireshark.
	Keys(ctx context.Context, name string) (control.Keys, error)

	// Capture begins a capture of a context's packets, and returns it as it
	// comes. It ends with ctx, or when it is closed.
	Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error)
}

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
	Configurations
	Pairs

	// Status tells about the system as a whole. It never waits for a worker.
	Status() Status

	// Contexts lists every configured context, also those that failed or are
	// stopping. It never waits for a worker.
	Contexts() []Tenant

	// Facts asks the worker of a context, and adds to its resources those that
	// the supervisor counts (cpu, memory, pids). NoContext when there is no such
	// context, NotReady when its worker cannot be asked; then the Facts may hold
	// what the supervisor counts, such as why a worker was killed.
	Facts(ctx context.Context, name string) (control.Facts, error)

	// Logoff ends sessions of a context with a proper DELETE.
	Logoff(ctx context.Context, name string, which control.Logoff) (control.LogoffDone, error)

	// Keys returns the keys of a context's SAs, for Wireshark.
	Keys(ctx context.Context, name string) (control.Keys, error)

	// Capture begins a capture of a context's packets, and returns it as it
	// comes. It ends with ctx, or when it is closed.
	Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error)
}

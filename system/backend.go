package system

import (
	"context"
	"io"
	"os"
	"slices"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/lifecycle"
	"github.com/warrenvpn/warren/system/pair"
	"github.com/warrenvpn/warren/system/tenants"
)

// backend answers the API: each part of it translates the words of one room.
type backend struct {
	overview
	contexts
	certificates
	policies
	files
	configurations
	pairs
	operations
	orphans
	streams
	backups
}

// Backend returns what answers the API.
func (s *System) Backend() api.Backend {
	return backend{
		overview: s.overview(),
		contexts: contexts{s.tenants, s.life}, certificates: certificates{s.tenants},
		policies: policies{s.tenants}, files: files{s.disks},
		configurations: configurations{s.life, s.pair.Differences},
		pairs:          pairs{s.pair, s.life, s.disks},
		operations:     operations{s},
		orphans:        orphans{s.disks, s.pair},
		streams:        streams{s.events, s.tenants},
		backups:        backups{s.life, s.disks, &s.restoring},
	}
}

func (s *System) overview() overview {
	return overview{name: s.name, started: s.started, tenants: s.tenants, life: s.life, pair: s.pair, disks: s.disks}
}

// overview answers the API for the system as a whole.
type overview struct {
	name    string
	started time.Time
	tenants *tenants.Tenants
	life    *lifecycle.Lifecycle
	pair    *pair.Pair // nil: a node alone
	disks   *disks.Disks
}

// Status implements api.Backend.
func (s overview) Status() api.Status {
	out := api.Status{Name: s.name, Version: build.Version(), PID: os.Getpid(), Started: s.started}
	for _, c := range s.tenants.Conditions() {
		out.Total++
		switch c.State {
		case tenants.StateReady:
			out.ReadyContexts++
			continue
		case tenants.StateSuspended:
			out.Suspended++
			continue
		}
		why := string(c.State)
		if c.Reason != "" {
			why += ": " + c.Reason
		}
		out.Waiting = append(out.Waiting, fault.ContextError{Context: c.Name, Error: why})
	}
	out.Redundancy = s.pair.Redundancy()
	if list, err := s.disks.Orphans(); err == nil {
		out.Orphans = len(list)
	}
	out.Changing = s.life.UnderWay()
	out.Problems = slices.Concat(s.life.Problems(), s.tenants.Problems())
	out.Ready = out.ReadyContexts+out.Suspended == out.Total && len(out.Problems) == 0
	return out
}

// Enter lets one more request about a context in, as tenants.Tenants.Enter does.
func (s *System) Enter(name string) (leave func(), err error) { return s.tenants.Enter(name) }

// Shared returns what is used of what the contexts share.
func (s *System) Shared() []control.Resource { return s.tenants.Shared() }

// contexts answers the API for what runs, in its words.
type contexts struct {
	tenants *tenants.Tenants
	life    *lifecycle.Lifecycle
}

// Contexts implements api.Backend.
func (c contexts) Contexts() []api.Tenant {
	var rows []api.Tenant
	problems := slices.Concat(c.life.Problems(), c.tenants.Problems())
	for _, r := range c.tenants.Rows() {
		row := api.Tenant{
			Name: r.Name, State: api.State(r.State), Reason: r.Reason, Class: r.Class, Role: r.Role,
			PID: r.PID, Restarts: r.Restarts, Started: r.Started, Sandbox: r.Sandbox, Build: r.Build,
			ConfigURL: r.ConfigURL,
			Namespace: r.Namespace,
		}
		for _, i := range r.Interfaces {
			row.Interfaces = append(row.Interfaces, api.Interface(i))
		}
		for _, p := range problems {
			if p.Context == r.Name {
				row.Problems = append(row.Problems, p)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// IKESAs implements api.Backend.
func (c contexts) IKESAs(ctx context.Context, name string) ([]control.IKESA, error) {
	return c.tenants.IKESAs(ctx, name)
}

// Sessions implements api.Backend.
func (c contexts) Sessions(ctx context.Context, name string) ([]control.Session, error) {
	return c.tenants.Sessions(ctx, name)
}

// AAAServers implements api.Backend.
func (c contexts) AAAServers(ctx context.Context, name string) ([]control.AAAServer, error) {
	return c.tenants.AAAServers(ctx, name)
}

// Resources implements api.Backend.
func (c contexts) Resources(ctx context.Context, name string) ([]control.Resource, error) {
	return c.tenants.Resources(ctx, name)
}

// IPsecStats implements api.Backend.
func (c contexts) IPsecStats(ctx context.Context, name string) (control.IPsecStats, error) {
	return c.tenants.IPsecStats(ctx, name)
}

// Logoff implements api.Backend.
func (c contexts) Logoff(ctx context.Context, name string, which control.Logoff) (control.LogoffDone, error) {
	return c.tenants.Logoff(ctx, name, which)
}

// Keys implements api.Backend.
func (c contexts) Keys(ctx context.Context, name string) (control.Keys, error) {
	return c.tenants.Keys(ctx, name)
}

// Capture implements api.Backend.
func (c contexts) Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error) {
	return c.tenants.Capture(ctx, name, which)
}

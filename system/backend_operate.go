package system

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
)

// operations answers the API for what an operator does to programs that run.
type operations struct{ sys *System }

// Restart implements api.Backend.
func (o operations) Restart(ctx context.Context, name string) (api.Restarted, error) {
	began := time.Now()
	before, after, err := o.sys.tenants.Restart(ctx, name)
	if err != nil {
		return api.Restarted{}, err
	}
	return api.Restarted{Context: name, PID: after.PID, Build: after.Build, Before: before.Build,
		Duration: time.Since(began).Seconds()}, nil
}

// Rekey implements api.Backend.
func (o operations) Rekey(ctx context.Context, name string, which control.Logoff) (control.Rekeyed, error) {
	return o.sys.tenants.Rekey(ctx, name, which)
}

// Shutdown implements api.Backend.
func (o operations) Shutdown() { o.sys.Shutdown() }

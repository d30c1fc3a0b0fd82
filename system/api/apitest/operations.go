package apitest

import (
	"context"
	"net/netip"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Operations is an api.Operations of one context, blue, which counts the shutdowns.
type Operations struct{ Shutdowns int }

var _ api.Operations = (*Operations)(nil)

// Restart implements api.Operations.
func (*Operations) Restart(_ context.Context, name string) (api.Restarted, error) {
	if name != "blue" {
		return api.Restarted{}, fault.NoContext(name)
	}
	return api.Restarted{Context: name, PID: 17, Build: "v1.1.0", Before: "v1.0.0", Duration: 0.1}, nil
}

// Rekey implements api.Operations.
func (*Operations) Rekey(_ context.Context, name string, which control.Logoff) (control.Rekeyed, error) {
	switch {
	case name != "blue":
		return control.Rekeyed{}, fault.NoContext(name)
	case which.User == "alice@blue.example", which.Address == netip.MustParseAddr("198.51.100.2"):
		return control.Rekeyed{IKESAs: 1, ChildSAs: 2}, nil
	}
	return control.Rekeyed{}, nil
}

// Shutdown implements api.Operations.
func (o *Operations) Shutdown() { o.Shutdowns++ }

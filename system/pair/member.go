package pair

import (
	"context"
	"math"
	"os"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/spawn"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/secret"
)

// network is what the pair needs of the network of a context: a netns.Gateway.
type network interface {
	SetRole(failover.Role) error
	Announce()
	Carriers() map[string]bool
	WatchLinks(ctx context.Context, changed func())
	Link(iface string) (device, mac string, mtu int)
	Do(fn func() error) error
}

// servant is what it needs of its worker: a spawn.Worker.
type servant interface {
	SetRole(context.Context, control.Activation) error
	Quiesce(context.Context, control.Quiesce) error
	Link(context.Context, *os.File, secret.Value) error
	Kill() error
	Status() spawn.Status
	Activation() control.Activation
	Adopted() bool
	Replication(context.Context) (*control.Replication, error)
}

// unknownActivation is what a worker of an earlier process was told last, as far as this
// one knows. Nobody has that epoch.
var unknownActivation = control.Activation{Epoch: math.MaxUint64}

// member is a context of the pair that is built. It belongs to the goroutine
// of Pair.run, except for what takeover.play uses.
type member struct {
	name, group string
	gateway     network
	worker      servant
	interfaces  map[string]string // of the context, by that of the system
	leave       context.CancelFunc
	joined      time.Time
	adopted     bool // gateway and worker are of an earlier process

	carriers    map[string]bool // by interface of the context
	replication control.Replication
	told        time.Time // when it was told
	down, up    time.Time // since when the worker is not, or is, ready
	silences    int       // of its worker, that were told, or were before begin
	broken      string    // why it was given up; "": it was not
	dial        dialling

	// One change of the role at a time, in the order of the roles.
	played     chan struct{}      // closed when the last change that was asked for is made
	cancel     context.CancelFunc // of that change
	activation control.Activation // what the worker was told last; belongs to the change that is being made
}

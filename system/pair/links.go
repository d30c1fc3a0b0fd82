package pair

import (
	"context"

	"github.com/warrenvpn/warren/context/netns"
)

// carrierPath is a socket that heartbeats travel through.
type carrierPath interface {
	Send(payload []byte) error
	Receive() ([]byte, error)
	Close() error
}

// Links are the devices of failover links on this host.
type Links interface {
	// Open takes the device of a link, and gives it its address.
	Open(netns.UplinkConfig) (LinkDevice, error)
	// Watch calls changed after every change of a device until ctx ends, and once
	// when it has begun.
	Watch(ctx context.Context, changed func()) error
}

// hostLinks are those of a real host.
type hostLinks struct{ host *netns.Host }

// LinksOf returns the devices of failover links on a host.
func LinksOf(h *netns.Host) Links { return hostLinks{h} }

// Open implements Links.
func (l hostLinks) Open(c netns.UplinkConfig) (LinkDevice, error) { return l.host.OpenUplink(c) }

// Watch implements Links.
func (l hostLinks) Watch(ctx context.Context, changed func()) error {
	return l.host.WatchLinks(ctx, changed)
}

// LinkDevice is the device of a failover link: a netns.Uplink.
type LinkDevice interface {
	Device() string
	Carrier() bool
	Close() error
}

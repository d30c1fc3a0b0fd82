package pair

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/guard"
)

// uplinkRetry is when a failover link that could not be opened is tried again.
const uplinkRetry = time.Second

// watchRetry is when a watch over the devices of links that has ended begins again.
const watchRetry = time.Second

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

// uplink is one failover link.
type uplink struct {
	index int
	cfg   configs.FailoverLink
	on    configs.Interface

	refusals *refusals
	again    chan struct{} // has something while observe is to look

	mu      sync.Mutex // protects what follows
	device  LinkDevice
	socket  carrierPath
	carrier bool // belongs to pair.run
}

func (l *uplink) set(device LinkDevice, socket carrierPath) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.device, l.socket = device, socket
}

func (l *uplink) path() carrierPath {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket
}

func (l *uplink) hasCarrier() bool {
	l.mu.Lock()
	device := l.device
	l.mu.Unlock()
	return device != nil && device.Carrier()
}

// tend keeps a link open until ctx ends.
func (p *Pair) tend(ctx context.Context, l *uplink) {
	said := ""
	guard.Keep(ctx, p.log, "a failover link", uplinkRetry, func() error { return p.serveLink(ctx, l) },
		func(err error) {
			if text := err.Error(); text != said {
				said = text
				p.log.Error("failover link cannot be used", "link", l.cfg.Name, "reason", text)
			}
		})
}

// serveLink is one life of a link: opened, read, closed.
func (p *Pair) serveLink(ctx context.Context, l *uplink) (err error) {
	device, err := p.device.Open(netns.UplinkConfig{
		Name: l.cfg.Name, Host: l.on.Device, VLAN: l.on.VLAN, Address: l.cfg.Address, Records: p.records,
	})
	if err != nil {
		return err
	}
	defer func() {
		l.set(nil, nil)
		err = errors.Join(err, device.Close())
	}()
	socket, err := link.OpenUDP(ctx, device.Device(), netip.AddrPortFrom(l.cfg.Address.Addr(), link.HeartbeatPort),
		netip.AddrPortFrom(l.cfg.Peer, link.HeartbeatPort))
	if err != nil {
		return err
	}
	l.set(device, socket)
	p.look(l)

	ctx, cancel := context.WithCancel(ctx)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	defer socket.Close()
	listening := make(chan error, 1)
	owned.Go(func() { listening <- guard.Run(p.log, "a failover link", func() error { return p.listen(ctx, l) }) })
	read := make(chan error, 1)
	owned.Go(func() {
		read <- guard.Run(p.log, "a failover link",
			func() error { return p.read(failover.Path{Link: l.index}, socket, p.beats) })
	})
	select {
	case err = <-listening:
	case err = <-read:
	}
	return err
}

// read moves heartbeats from a socket to run until the socket is closed. What
// finds no room is lost, as on the wire.
func (p *Pair) read(path failover.Path, socket carrierPath, to chan<- beat) error {
	for {
		b, err := socket.Receive()
		if err != nil {
			return err
		}
		select {
		case to <- beat{path, b}:
		default:
		}
	}
}

// watchHost follows the carriers of the links.
func (p *Pair) watchHost(ctx context.Context) {
	guard.Keep(ctx, p.log, "the watch over failover links", watchRetry, func() error {
		return p.device.Watch(ctx, func() {
			for _, l := range p.links {
				p.look(l)
			}
		})
	}, func(err error) { p.log.Error("failover links are not watched", "reason", err) })
}

// look lets observe tell whether a link has a carrier.
func (p *Pair) look(l *uplink) {
	select {
	case l.again <- struct{}{}:
	default: // it has not looked yet since it was asked last
	}
}

// observe tells whether a link has a carrier, whenever it is asked to look, until
// ctx ends. Nobody else does: so what it saw last is told last.
func (p *Pair) observe(ctx context.Context, l *uplink) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.again:
		}
		up := l.hasCarrier()
		p.post(func(now time.Time, out *failover.Output) {
			l.carrier = up
			if p.node != nil {
				p.node.LinkState(now, l.index, up, out)
			}
		})
	}
}

package pair

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/internal/secret"
)

// uplinkRetry is when a failover link that could not be opened is tried again.
const uplinkRetry = time.Second

// watchRetry is when a watch over the devices of links that has ended begins again.
const watchRetry = time.Second

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
	carrier bool // belongs to Pair.run
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

// links are the failover links of this node: each is kept open, read, and watched.
type links struct {
	*machine
	list    []*uplink
	host    Links
	records string // directory
	keys    *keyring
	beats   chan beat // that came in
	// accept takes a connection of the peer, which has the key, for who is named. After an
	// error the connection is the caller's still.
	accept func(ctx context.Context, name string, conn *net.TCPConn, key secret.Value) error
}

// config is what the host is to open for it.
func (l *uplink) config(records string) netns.UplinkConfig {
	return netns.UplinkConfig{
		Name: l.cfg.Name, Host: l.on.Device, VLAN: l.on.VLAN, Address: l.cfg.Address, Records: records,
	}
}

// Uplinks are what a configuration has the host open for failover links; records is a
// directory.
func Uplinks(conf *configs.System, records string) (list []netns.UplinkConfig) {
	if conf.Failover == nil {
		return nil
	}
	for _, l := range newUplinks(conf) {
		list = append(list, l.config(records))
	}
	return list
}

// newUplinks returns the links of a configuration, which are not open yet.
func newUplinks(conf *configs.System) (list []*uplink) {
	for i, l := range conf.Failover.Links {
		on, _ := conf.Interface(l.Interface)
		list = append(list, &uplink{index: i, cfg: l, on: on, refusals: newRefusals(), again: make(chan struct{}, 1)})
	}
	return list
}

// start keeps the links open, and watches them, until ctx ends.
func (k *links) start(ctx context.Context) {
	for _, l := range k.list {
		k.owned.Go(func() { k.tend(ctx, l) })
		k.owned.Go(func() {
			guard.Keep(ctx, k.log, "the carrier of a failover link", watchRetry,
				func() error { return k.observe(ctx, l) }, func(error) {})
		})
	}
	k.owned.Go(func() { k.watchHost(ctx) })
}

// tend keeps a link open until ctx ends.
func (k *links) tend(ctx context.Context, l *uplink) {
	said := ""
	guard.Keep(ctx, k.log, "a failover link", uplinkRetry, func() error { return k.serve(ctx, l) },
		func(err error) {
			if text := err.Error(); text != said {
				said = text
				k.log.Error("failover link cannot be used", "link", l.cfg.Name, "reason", text)
			}
		})
}

// serve is one life of a link: opened, read, closed.
func (k *links) serve(ctx context.Context, l *uplink) (err error) {
	device, err := k.host.Open(l.config(k.records))
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
	k.look(l)

	ctx, cancel := context.WithCancel(ctx)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	defer socket.Close()
	listening := make(chan error, 1)
	owned.Go(func() { listening <- guard.Run(k.log, "a failover link", func() error { return k.listen(ctx, l) }) })
	read := make(chan error, 1)
	owned.Go(func() {
		read <- guard.Run(k.log, "a failover link",
			func() error { return readBeats(failover.Path{Link: l.index}, socket, k.beats) })
	})
	select {
	case err = <-listening:
	case err = <-read:
	}
	return err
}

// watchHost follows the carriers of the links.
func (k *links) watchHost(ctx context.Context) {
	guard.Keep(ctx, k.log, "the watch over failover links", watchRetry, func() error {
		return k.host.Watch(ctx, func() {
			for _, l := range k.list {
				k.look(l)
			}
		})
	}, func(err error) { k.log.Error("failover links are not watched", "reason", err) })
}

// look lets observe tell whether a link has a carrier.
func (k *links) look(l *uplink) {
	select {
	case l.again <- struct{}{}:
	default: // it has not looked yet since it was asked last
	}
}

// observe tells whether a link has a carrier, whenever it is asked to look, until
// ctx ends. Nobody else does: so what it saw last is told last.
func (k *links) observe(ctx context.Context, l *uplink) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.again:
		}
		up := l.hasCarrier()
		k.post(func(now time.Time, out *failover.Output) {
			l.carrier = up
			if k.node != nil {
				k.node.LinkState(now, l.index, up, out)
			}
		})
	}
}

// listen takes connections of the peer over one link.
func (k *links) listen(ctx context.Context, l *uplink) error {
	at := netip.AddrPortFrom(l.cfg.Address.Addr(), link.ReplicationPort)
	listener, err := link.Listen(ctx, at, l.cfg.Peer, k.keys.all)
	if err != nil {
		return err
	}
	return listener.Run(ctx, func(conn *net.TCPConn) {
		err := guard.Run(k.log, "a connection of the peer", func() error {
			name, key, err := listener.Greet(conn)
			if err == nil {
				err = k.accept(ctx, name, conn, key)
			}
			return err
		})
		if err != nil {
			conn.Close()
		}
		if err != nil && !errors.Is(err, link.ErrNoGreeting) { // else the peer has looked who listens: see obituary
			l.refusals.refused(k.log, l.cfg.Name, err)
		}
	})
}

// heard are the links over which the peer is heard.
func (k *links) heard(now time.Time) []*uplink {
	var list []*uplink
	for i, s := range k.node.Links(now) {
		if s.State == "up" {
			list = append(list, k.list[i])
		}
	}
	return slices.Clip(list)
}

// drain takes the heartbeats that wait.
func (k *links) drain(take func(beat)) {
	for {
		select {
		case b := <-k.beats:
			take(b)
		default:
			return
		}
	}
}

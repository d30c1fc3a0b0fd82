package system

import (
	"context"
	"errors"
	"fmt"
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

// linkDevice is the device of a failover link: a netns.Uplink.
type linkDevice interface {
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
	device  linkDevice
	socket  carrierPath
	carrier bool // belongs to pair.run
}

func (l *uplink) set(device linkDevice, socket carrierPath) {
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
func (p *pair) tend(ctx context.Context, l *uplink) {
	said := ""
	guard.Keep(ctx, p.log, "a failover link", uplinkRetry, func() error { return p.serveLink(ctx, l) }, func(err error) {
		if text := err.Error(); text != said {
			said = text
			p.log.Error("failover link cannot be used", "link", l.cfg.Name, "reason", text)
		}
	})
}

// serveLink is one life of a link: opened, read, closed.
func (p *pair) serveLink(ctx context.Context, l *uplink) (err error) {
	device, err := p.open(netns.UplinkConfig{
		Name: l.cfg.Name, Host: l.on.Device, VLAN: l.on.VLAN, Address: l.cfg.Address, Records: p.sys.recordDir(),
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
		read <- guard.Run(p.log, "a failover link", func() error { return p.read(failover.Path{Link: l.index}, socket, p.beats) })
	})
	select {
	case err = <-listening:
	case err = <-read:
	}
	return err
}

// read moves heartbeats from a socket to run until the socket is closed. What
// finds no room is lost, as on the wire.
func (p *pair) read(path failover.Path, socket carrierPath, to chan<- beat) error {
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
func (p *pair) watchHost(ctx context.Context) {
	guard.Keep(ctx, p.log, "the watch over failover links", watchRetry, func() error {
		return p.watch(ctx, func() {
			for _, l := range p.links {
				p.look(l)
			}
		})
	}, func(err error) { p.log.Error("failover links are not watched", "reason", err) })
}

// look lets observe tell whether a link has a carrier.
func (p *pair) look(l *uplink) {
	select {
	case l.again <- struct{}{}:
	default: // it has not looked yet since it was asked last
	}
}

// observe tells whether a link has a carrier, whenever it is asked to look, until
// ctx ends. Nobody else does: so what it saw last is told last.
func (p *pair) observe(ctx context.Context, l *uplink) error {
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

// errNoPath is why a heartbeat stays here.
var errNoPath = errors.New("system: the path is not open")

// send sends a heartbeat.
func (p *pair) send(d failover.Datagram) error {
	var socket carrierPath
	if d.Path.Link == failover.DataPath {
		if data := p.data[d.Path.Interface]; data != nil {
			socket = data.socket
		}
	} else {
		socket = p.links[d.Path.Link].path()
	}
	if socket == nil {
		return errNoPath
	}
	return socket.Send(d.Payload)
}

// dataPath is the socket on a data interface, in the namespace of a context
// that has it.
type dataPath struct {
	member *member
	socket carrierPath
}

// openData opens the sockets on monitored interfaces that have none.
func (p *pair) openData() {
	for _, g := range p.conf.Failover.Groups {
		for _, name := range g.Monitor {
			if p.data[name] == nil {
				p.openDataPath(name)
			}
		}
	}
}

func (p *pair) openDataPath(name string) {
	for _, m := range p.members {
		own, has := m.interfaces[name]
		if !has {
			continue
		}
		device, _, _ := m.gateway.Link(own)
		var socket *link.Ethernet
		err := m.gateway.Do(func() (err error) {
			socket, err = link.OpenEthernet(device)
			return err
		})
		if err != nil {
			p.log.Debug("no heartbeats on a data interface", "tenant", m.name, "interface", name, "reason", err)
			continue
		}
		p.data[name] = &dataPath{m, socket}
		p.owned.Go(func() {
			err := guard.Run(p.log, "heartbeats on a data interface", func() error {
				return p.read(failover.Path{Link: failover.DataPath, Interface: name}, socket, p.strangers)
			})
			if err != nil {
				p.log.Debug("heartbeats on a data interface ended", "interface", name, "reason", err)
			}
		})
		return
	}
}

// closeData closes the sockets in the namespace of a context.
func (p *pair) closeData(m *member) {
	for name, d := range p.data {
		if d.member == m {
			d.socket.Close()
			delete(p.data, name)
		}
	}
}

// listen takes connections of the peer over one link.
func (p *pair) listen(ctx context.Context, l *uplink) error {
	at := netip.AddrPortFrom(l.cfg.Address.Addr(), link.ReplicationPort)
	listener, err := link.Listen(ctx, at, l.cfg.Peer, p.cfg.Key)
	if err != nil {
		return err
	}
	return listener.Run(ctx, func(conn *net.TCPConn) {
		err := guard.Run(p.log, "a connection of the peer", func() error {
			name, err := listener.Greet(conn)
			if err == nil {
				err = p.accept(ctx, name, conn)
			}
			return err
		})
		if err != nil {
			conn.Close()
			l.refusals.refused(p.log, l.cfg.Name, err)
		}
	})
}

// accept hands a connection of the peer to the worker that it is for. Only an
// active one takes connections: the standby makes them. After an error the
// connection is the caller's still.
func (p *pair) accept(ctx context.Context, name string, conn *net.TCPConn) error {
	if name == link.PeerName {
		return p.admit(ctx, conn)
	}
	var m *member
	p.do(func(time.Time, *failover.Output) {
		if found := p.members[name]; found != nil && p.role(found.group) == failover.RoleActive {
			m = found
		}
	})
	if m == nil {
		p.log.Debug("connection of the peer dropped", "tenant", name, "reason", "the context is not active here")
		return conn.Close()
	}
	if err := p.pass(ctx, m, conn); err != nil {
		p.log.Warn("connection of the peer not passed on", "tenant", name, "reason", err)
	}
	return conn.Close()
}

// pass gives a connection to the worker of a context.
func (p *pair) pass(ctx context.Context, m *member, conn *net.TCPConn) error {
	file, err := conn.File()
	if err != nil {
		return fmt.Errorf("system: passing a connection on: %w", err)
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	return m.worker.Link(ctx, file, failover.TenantKey(p.cfg.Key, m.name))
}

// heardLinks are the links over which the peer is heard.
func (p *pair) heardLinks(now time.Time) []*uplink {
	var list []*uplink
	for i, s := range p.node.Links(now) {
		if s.State == "up" {
			list = append(list, p.links[i])
		}
	}
	return slices.Clip(list)
}

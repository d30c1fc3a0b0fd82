package pair

import (
	"errors"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/guard"
)

// errNoPath is why a heartbeat stays here.
var errNoPath = errors.New("system: the path is not open")

// send sends a heartbeat.
func (p *Pair) send(d failover.Datagram) error {
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
func (p *Pair) openData() {
	for _, g := range p.conf.Failover.Groups {
		for _, name := range g.Monitor {
			if p.data[name] == nil {
				p.openDataPath(name)
			}
		}
	}
}

func (p *Pair) openDataPath(name string) {
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
			p.post(func(time.Time, *failover.Output) { p.closeDataPath(name, socket) })
		})
		return
	}
}

// closeDataPath closes a socket whose device is gone: where there is one again,
// openData opens another one.
func (p *Pair) closeDataPath(name string, socket carrierPath) {
	if d := p.data[name]; d != nil && d.socket == socket {
		d.socket.Close()
		delete(p.data, name)
	}
}

// closeData closes the sockets in the namespace of a context.
func (p *Pair) closeData(m *member) {
	for name, d := range p.data {
		if d.member == m {
			d.socket.Close()
			delete(p.data, name)
		}
	}
}

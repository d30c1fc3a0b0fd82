package pair

import (
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/link"
	"github.com/warrenvpn/warren/internal/guard"
)

// dataPath is the socket on a data interface, in the namespace of a context
// that has it.
type dataPath struct {
	member *member
	socket carrierPath
}

// dataPaths are the sockets on monitored interfaces. They belong to Pair.run.
type dataPaths struct {
	*machine
	members *members
	open    map[string]*dataPath // by interface of the system
	beats   chan beat            // that came in; anybody on those interfaces may send
}

// openAll opens the sockets on monitored interfaces that have none.
func (d *dataPaths) openAll() {
	for _, g := range d.conf.Failover.Groups {
		for _, name := range g.Monitor {
			if d.open[name] == nil {
				d.openOne(name)
			}
		}
	}
}

func (d *dataPaths) openOne(name string) {
	for _, m := range d.members.byName {
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
			d.log.Debug("no heartbeats on a data interface", "tenant", m.name, "interface", name, "reason", err)
			continue
		}
		d.open[name] = &dataPath{m, socket}
		d.owned.Go(func() {
			err := guard.Run(d.log, "heartbeats on a data interface", func() error {
				return readBeats(failover.Path{Link: failover.DataPath, Interface: name}, socket, d.beats)
			})
			if err != nil {
				d.log.Debug("heartbeats on a data interface ended", "interface", name, "reason", err)
			}
			d.post(func(time.Time, *failover.Output) { d.closeOne(name, socket) })
		})
		return
	}
}

// closeOne closes a socket whose device is gone: where there is one again,
// openAll opens another one.
func (d *dataPaths) closeOne(name string, socket carrierPath) {
	if one := d.open[name]; one != nil && one.socket == socket {
		one.socket.Close()
		delete(d.open, name)
	}
}

// leave closes the sockets in the namespace of a context.
func (d *dataPaths) leave(m *member) {
	for name, one := range d.open {
		if one.member == m {
			one.socket.Close()
			delete(d.open, name)
		}
	}
}

package pair

import (
	"errors"

	"github.com/warrenvpn/warren/failover"
)

// beat is a heartbeat that came in.
type beat struct {
	path    failover.Path
	payload []byte
}

// errNoPath is why a heartbeat stays here.
var errNoPath = errors.New("system: the path is not open")

// send sends a heartbeat.
func (p *Pair) send(d failover.Datagram) error {
	var socket carrierPath
	if d.Path.Link == failover.DataPath {
		if data := p.data.open[d.Path.Interface]; data != nil {
			socket = data.socket
		}
	} else {
		socket = p.links.list[d.Path.Link].path()
	}
	if socket == nil {
		return errNoPath
	}
	return socket.Send(d.Payload)
}

// readBeats moves heartbeats from a socket to run until the socket is closed. What
// finds no room is lost, as on the wire.
func readBeats(path failover.Path, socket carrierPath, to chan<- beat) error {
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

package plane

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/warrenvpn/warren/esp/stats"
)

// The marker and the keepalive of RFC 3948.
const (
	markerLen = 4    // section 2.2: four zero bytes in front of IKE
	keepalive = 0xff // section 2.3
)

// ikeQueue is how many IKE messages wait for a full socket.
const ikeQueue = 64

// ikeMessage is a message that waits for a full socket.
type ikeMessage struct {
	conn Conn
	m    Message
}

// sendIKE is Plane.SendIKE.
func (e *espSide) sendIKE(local, remote netip.AddrPort, payload []byte) error {
	if e.muted.Load() {
		e.other.count(stats.DropMuted, 1, len(payload))
		return ErrMuted
	}
	o := e.outerAt(KindNATT, local)
	if o == nil {
		o = e.outerAt(KindIKE, local)
	}
	if o == nil || o.Local.Addr().Is4() != remote.Addr().Is4() {
		return fmt.Errorf("%w: %v to %v", ErrNoSocket, local, remote)
	}
	m := Message{Remote: remote, DF: o.Kind == KindNATT && len(payload) <= smallIKE}
	if o.Kind == KindNATT && (len(payload) != 1 || payload[0] != keepalive) {
		m.Data = append(append(make([]byte, 0, markerLen+len(payload)), 0, 0, 0, 0), payload...)
	} else {
		m.Data = append([]byte(nil), payload...)
	}
	e.other.add(stats.IKEOut, 1)
	err := o.Conn.TrySend(&m)
	if !errors.Is(err, ErrFull) {
		return err
	}
	select {
	case e.ike <- ikeMessage{o.Conn, m}:
		return nil
	default:
		return ErrFull
	}
}

// smallIKE is a size in bytes that every path carries whole. Messages up to it
// are sent with DF, as data is, so that the socket keeps its setting.
const smallIKE = 1200

// deliverIKE sends the IKE messages that found their socket full.
func (e *espSide) deliverIKE(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case m := <-e.ike:
			if _, err := m.conn.Send([]Message{m.m}); err != nil && !errors.Is(err, os.ErrClosed) {
				e.log.Warn("IKE not sent", "reason", err)
			}
		}
	}
}

package ikev2

import (
	"encoding/binary"
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// datagrams is one message of ours as it travels: one datagram, or several where
// it is fragmented (RFC 7383). Each begins with a header that says its length. nil
// is no message.
type datagrams [][]byte

// send appends the message to out, with the addresses of from.
func (m datagrams) send(from exchange.Datagram, out *exchange.Output) {
	for _, b := range m {
		out.Send = append(out.Send, exchange.Datagram{Local: from.Local, Remote: from.Remote, Payload: b})
	}
}

// join returns the datagrams one behind the other, as a record has them. The result may share the
// memory of m.
func (m datagrams) join() []byte {
	if len(m) == 1 {
		return m[0]
	}
	return slices.Concat(m...)
}

// lengthAt is where the header of a message has its length (RFC 7296 section 3.1).
const lengthAt = wire.HeaderLen - 4

// splitDatagrams takes apart what join has made, and reports false for anything
// else. The result shares the memory of b.
func splitDatagrams(b []byte) (m datagrams, ok bool) {
	for len(b) > 0 {
		if len(b) < wire.HeaderLen {
			return nil, false
		}
		n := uint64(binary.BigEndian.Uint32(b[lengthAt:]))
		if n < wire.HeaderLen || n > uint64(len(b)) {
			return nil, false
		}
		m = append(m, b[:n:n])
		b = b[n:]
	}
	return m, true
}

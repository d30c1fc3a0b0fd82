package esptest

import (
	"errors"
	"net/netip"
	"os"
	"sync"

	"github.com/warrenvpn/warren/esp/plane"
)

// Net is a network in memory: what a Conn sends to an address arrives at the
// Conn with that address. It is safe for concurrent use.
type Net struct {
	// Fault, where set, decides what arrives instead of each datagram: nothing,
	// the datagram, others, several. It may keep and change what it is given. It
	// is called by one goroutine at a time.
	Fault func(d Datagram) []Datagram

	mu    sync.Mutex // guards conns, and is held during Fault
	conns map[netip.AddrPort]*Conn
}

// Datagram is one datagram on its way.
type Datagram struct {
	From, To netip.AddrPort
	TOS      uint8
	DF       bool
	Data     []byte
	Sender   *Conn // nil: none, it was made by a test
}

// NewNet returns an empty network.
func NewNet() *Net { return &Net{conns: make(map[netip.AddrPort]*Conn)} }

// Conn is an outer socket in memory. It implements plane.Conn.
type Conn struct {
	Addr netip.AddrPort
	// GRO says that datagrams of one size that arrive together are received
	// as one message.
	GRO bool

	net    *Net
	queue  chan Datagram
	errs   chan plane.Message
	done   chan struct{}
	close  sync.Once
	second *Datagram      // read from queue, but not yet received
	alias  netip.AddrPort // guarded by net.mu
}

// Conn returns a new socket with room for n datagrams.
func (n *Net) Conn(addr string, room int) *Conn {
	c := &Conn{
		Addr: netip.MustParseAddrPort(addr), GRO: true, net: n,
		queue: make(chan Datagram, room), errs: make(chan plane.Message, 1), done: make(chan struct{}),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c.Addr] = c
	return c
}

// Own routes datagrams for the address of c to c, as after a takeover.
func (n *Net) Own(c *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c.Addr] = c
}

// Alias gives c a second address, as a NAT in front of it does: c sends from
// there, and receives what is sent there.
func (c *Conn) Alias(at netip.AddrPort) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.alias = at
	c.net.conns[at] = c
}

// Deliver puts a datagram on the wire behind the fault.
func (n *Net) Deliver(d Datagram) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deliverLocked(d)
}

func (n *Net) deliverLocked(d Datagram) {
	c := n.conns[d.To]
	if c == nil {
		return
	}
	select {
	case c.queue <- d:
	default:
	}
}

// TooBig makes Receive say that the network refused a packet.
func (c *Conn) TooBig(m plane.Message) { c.errs <- m }

// Receive implements plane.Conn.
func (c *Conn) Receive(ms []plane.Message) (int, error) {
	var d Datagram
	if c.second != nil {
		d, c.second = *c.second, nil
	} else {
		select {
		case d = <-c.queue:
		case m := <-c.errs:
			m.Buf = ms[0].Buf
			m.Data = m.Buf[:copy(m.Buf, m.Data)]
			ms[0] = m
			return 1, nil
		case <-c.done:
			return 0, os.ErrClosed
		}
	}
	for n := 0; ; n++ {
		m := &ms[n]
		*m = plane.Message{Buf: m.Buf, Data: m.Buf[:copy(m.Buf, d.Data)], Remote: d.From, TOS: d.TOS}
		for size := len(d.Data); ; {
			select {
			case d = <-c.queue:
			default:
				return n + 1, nil
			}
			if !c.GRO || d.From != m.Remote || d.TOS != m.TOS || len(d.Data) > size || len(m.Data)%size != 0 ||
				len(m.Data)+len(d.Data) > 65535 || len(d.Data) == 0 {
				break
			}
			m.Segment = size
			m.Data = m.Buf[:len(m.Data)+copy(m.Buf[len(m.Data):], d.Data)]
		}
		if n+1 == len(ms) {
			c.second = &d
			return n + 1, nil
		}
	}
}

// TryReceive implements plane.Conn.
func (c *Conn) TryReceive(ms []plane.Message) (int, error) {
	if c.second == nil {
		select {
		case d := <-c.queue:
			c.second = &d
		case <-c.done:
			return 0, os.ErrClosed
		default:
			return 0, nil
		}
	}
	return c.Receive(ms)
}

// Pressed implements plane.Conn.
func (c *Conn) Pressed() bool { return len(c.queue) > cap(c.queue)/2 }

// Send implements plane.Conn.
func (c *Conn) Send(ms []plane.Message) (plane.Loss, error) {
	for i := range ms {
		m := &ms[i]
		size := m.Segment
		if size == 0 {
			size = len(m.Data)
		}
		for data := m.Data; len(data) > 0; {
			n := min(size, len(data))
			c.one(m, data[:n])
			data = data[n:]
		}
	}
	return plane.Loss{}, nil
}

func (c *Conn) one(m *plane.Message, b []byte) {
	d := Datagram{From: c.Addr, To: m.Remote, TOS: m.TOS, DF: m.DF, Data: append([]byte(nil), b...), Sender: c}
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.alias.IsValid() {
		d.From = c.alias
	}
	if c.net.Fault == nil {
		c.net.deliverLocked(d)
		return
	}
	for _, d := range c.net.Fault(d) {
		c.net.deliverLocked(d)
	}
}

// TrySend implements plane.Conn.
func (c *Conn) TrySend(m *plane.Message) error {
	select {
	case <-c.done:
		return errors.New("esptest: socket is closed")
	default:
	}
	_, err := c.Send([]plane.Message{*m})
	return err
}

// Close implements plane.Conn.
func (c *Conn) Close() error {
	c.close.Do(func() { close(c.done) })
	return nil
}

package aaa

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/context/aaa/radius"
)

const (
	// socketsPerServer is how many sockets there are to one server: 512 requests are
	// outstanding at most, which is 50 logins a second at a server that takes ten.
	socketsPerServer = 2
	// maxHeld bounds the packets for a server that wait until there are sockets to it.
	maxHeld = 2 * 256
	// heardSize is how many packets of servers wait for Run. Then the kernel keeps them.
	heardSize = 64
	// writeTimeout is how long a socket may take a packet: it takes it at once, or the
	// device behind it is stuck, and the packet is sent again later.
	writeTimeout = 20 * time.Millisecond
)

// asking is Servers at work. One goroutine owns it.
type asking struct {
	servers *Servers
	client  *radius.Client
	out     radius.Output
	last    radius.Ticket
	waiting map[radius.Ticket]wait
	links   []link // by server
	// unapplied are attributes of servers of which it was told that sessions do not get them.
	unapplied map[string]bool

	ctx       context.Context // of the goroutines below; ends with Run
	cancel    context.CancelFunc
	heard     chan packet
	connected chan connected
	work      sync.WaitGroup
}

// wait is a conversation that waits for a server.
type wait struct {
	passing *passing
	eap     byte // identifier of the client's message
	done    func(Answer)
}

// link is the way to one server.
type link struct {
	conns      []net.Conn // by socket; nil: there are none
	connecting bool
	held       []radius.Datagram // while it is connecting
	life       int               // counts: what is heard on earlier sockets does not count
}

// packet is what was heard on a socket: octets, or why there are none.
type packet struct {
	radius.Place
	life int
	data []byte
	err  error
}

// connected is the end of an attempt to connect.
type connected struct {
	server int
	conns  []net.Conn
	err    error
}

func newAsking(ctx context.Context, s *Servers) *asking {
	a := &asking{
		servers: s, client: s.client(), waiting: make(map[radius.Ticket]wait),
		links: make([]link, len(s.cfg.Group.Servers)), unapplied: make(map[string]bool),
		heard: make(chan packet, heardSize), connected: make(chan connected),
	}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// close ends the goroutines, and waits for them.
func (a *asking) close() {
	a.cancel()
	for i := range a.links {
		a.drop(i)
	}
	a.work.Wait()
}

// drop closes the sockets to a server: the next packet for it makes new ones.
func (a *asking) drop(server int) {
	l := &a.links[server]
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
	l.life++
}

// carryOut does what the client wants.
func (a *asking) carryOut(now time.Time) {
	for len(a.out.Send)+len(a.out.Done)+len(a.out.Events) > 0 {
		out := a.out
		a.out = radius.Output{}
		for _, d := range out.Send {
			a.send(now, d)
		}
		for _, d := range out.Done {
			a.finish(d)
		}
		for _, e := range out.Events {
			a.servers.cfg.Tell(e)
		}
	}
}

// send sends a packet, or keeps it until there are sockets.
func (a *asking) send(now time.Time, d radius.Datagram) {
	l := &a.links[d.Server]
	if l.conns == nil {
		if len(l.held) < maxHeld {
			l.held = append(l.held, d)
		}
		if !l.connecting {
			l.connecting = true
			a.work.Go(func() { a.dial(d.Server) })
		}
		return
	}
	c := l.conns[d.Socket]
	_ = c.SetWriteDeadline(now.Add(writeTimeout))
	if _, err := c.Write(d.Data); err != nil {
		a.trouble(d.Place, err)
	}
}

// dial makes the sockets to a server.
func (a *asking) dial(server int) {
	s := &a.servers.cfg.Group.Servers[server]
	conns, err := a.servers.cfg.Connect(a.ctx, s.Endpoint(), socketsPerServer)
	if err == nil && len(conns) != socketsPerServer {
		err = errors.New("aaa: internal error: the supervisor returned another number of sockets")
	}
	if err != nil {
		for _, c := range conns {
			c.Close()
		}
		conns = nil
	}
	select {
	case a.connected <- connected{server, conns, err}:
	case <-a.ctx.Done():
		for _, c := range conns {
			c.Close()
		}
	}
}

// connect takes the sockets to a server.
func (a *asking) connect(c connected) {
	l := &a.links[c.server]
	held := l.held
	l.connecting, l.held = false, nil
	if c.err != nil {
		for socket := range socketsPerServer {
			a.client.Refused(radius.Place{Server: c.server, Socket: socket}, radius.Unreachable)
		}
		return
	}
	l.conns = c.conns
	for socket, conn := range c.conns {
		at, life := radius.Place{Server: c.server, Socket: socket}, l.life
		a.work.Go(func() { a.listen(at, life, conn) })
	}
	now := time.Now()
	for _, d := range held {
		a.send(now, d)
	}
}

// listen hears a socket until it is closed.
func (a *asking) listen(at radius.Place, life int, c net.Conn) {
	b := make([]byte, radius.MaxPacket+1)
	for {
		n, err := c.Read(b)
		p := packet{Place: at, life: life, err: err}
		if err == nil {
			p.data = append([]byte(nil), b[:n]...)
		}
		select {
		case a.heard <- p:
		case <-a.ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
	}
}

// hear takes what came on a socket.
func (a *asking) hear(now time.Time, p packet) {
	switch {
	case p.life != a.links[p.Server].life: // of a socket that was closed
	case p.err != nil:
		a.trouble(p.Place, p.err)
	default:
		a.client.Receive(now, p.Place, p.data, &a.out)
	}
}

// trouble is a socket that does not work: its server does not listen, or there is no way
// to it any more. With new sockets there may be.
func (a *asking) trouble(at radius.Place, err error) {
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		a.client.Refused(at, radius.Closed)
	case errors.As(err, &late) && late.Timeout(): // lost on the way
	default:
		a.client.Refused(at, radius.Unreachable)
		a.drop(at.Server)
	}
}

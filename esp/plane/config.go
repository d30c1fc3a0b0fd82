package plane

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/warrenvpn/warren/esp"
	"github.com/warrenvpn/warren/esp/tun"
)

// Kind says what a socket carries.
type Kind uint8

// The kinds of sockets.
const (
	KindIKE  Kind = iota + 1 // UDP 500: IKE only
	KindNATT                 // UDP 4500: ESP, and IKE behind a non-ESP marker (RFC 3948)
	KindESP                  // raw, IP protocol 50
)

// String returns "ike", "natt" or "esp", as descriptors are called.
func (k Kind) String() string {
	switch k {
	case KindIKE:
		return "ike"
	case KindNATT:
		return "natt"
	case KindESP:
		return "esp"
	}
	return "unknown"
}

// Socket is one outer socket. Exactly one of File and Conn is set.
type Socket struct {
	Kind  Kind
	Local netip.AddrPort // where it is bound; a KindESP socket has port 0
	MTU   int            // of its interface, in bytes; 0: 1500

	File *os.File // a socket that is bound and not connected; the plane owns it from New on
	Conn Conn     // or what behaves like one, in tests
}

// Message is one datagram of a Conn, or several of the same size.
type Message struct {
	Buf     []byte // Receive: room for 65,535 bytes
	Data    []byte // what was received, a part of Buf; or what is to be sent
	Remote  netip.AddrPort
	Segment int   // Data holds datagrams of this size, the last one may be shorter; 0: it holds one
	TOS     uint8 // of the outer header
	DF      bool  // Send: the outer Don't Fragment bit

	// TooBig is not 0 where Receive returns no datagram, but says that a packet
	// to Remote was refused because it is larger than TooBig bytes. Origin says
	// who refused it, and Data is the start of the payload of that packet, as
	// far as it is quoted.
	TooBig int
	Origin Origin
}

// Origin says who refused a packet.
type Origin uint8

// The origins of a refusal.
const (
	// OriginNetwork is an ICMP message. Anyone can send one: only its quote of our
	// packet shows that the sender has seen the packet (RFC 4301 section 8.2.1).
	OriginNetwork Origin = iota
	// OriginKernel is our own kernel, which did not send the packet.
	OriginKernel
)

// Conn is an outer socket as the pipelines see it. Receive has one caller;
// Send may be called by several goroutines. The payload of a raw socket begins
// at the ESP header.
type Conn interface {
	// Receive waits and fills at least one Message. Buf of each has room for
	// 65,535 bytes.
	Receive(ms []Message) (int, error)
	// TryReceive is Receive without the wait: 0 where there is nothing. It has
	// the same caller.
	TryReceive(ms []Message) (int, error)
	// Pressed reports whether the datagrams that wait to be received take more
	// than half of the room for them. It has the same caller.
	Pressed() bool
	// Send sends all messages in order and waits while the socket is full. What
	// the network refuses is lost, as datagrams are. An error means that the
	// socket is closed.
	Send(ms []Message) (Loss, error)
	// TrySend sends one datagram without waiting: ErrFull where it would.
	TrySend(m *Message) error
	Close() error
}

// Loss counts the datagrams that the network refused.
type Loss struct{ Packets, Bytes int }

// Config is what a Plane is made of. It is not changed after New.
type Config struct {
	Log *slog.Logger // nil: nothing is logged

	// Devices are the queues of the TUN device. The plane owns them from New on.
	Devices []tun.Device
	// Sockets are the outer sockets. More than one of a kind is fine: they are
	// told apart by Local. Several with one address (SO_REUSEPORT) share what
	// arrives there: each is received from, and opened, by itself.
	Sockets []Socket

	// Counters is the arena that Child.Slot indexes.
	Counters *esp.Counters

	Options Options
	// Crew is how many goroutines seal and open beside the pipelines, at most 6; 0:
	// as many as there are processors above two; negative: none.
	Crew int
	// MaxPathMTU caps the path MTU of every child; 0: the MTU of the socket's
	// interface.
	MaxPathMTU int
	// Muted is the state at the start; see Plane.Mute.
	Muted bool

	// IKE is called with each IKE message, without its marker. It is called by
	// the goroutines that receive, several at a time; it must not block and
	// must not keep payload, which is reused when it returns. nil: messages are
	// dropped.
	IKE func(local, remote netip.AddrPort, payload []byte)
	// Report is called for each event that the owner of the SAs should know. It
	// is called by one goroutine at a time, never from inside a method of
	// Plane; it may call Apply, but must not block for long. nil: events are
	// dropped.
	Report func(Report)

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c *Config) validate() error {
	switch {
	case c.Counters == nil:
		return errors.New("plane: no counter memory")
	case len(c.Devices) == 0:
		return errors.New("plane: no TUN device")
	}
	return c.Options.validate()
}

// close closes the devices and these sockets.
func (c *Config) close(sockets []Socket) {
	for _, d := range c.Devices {
		d.Close()
	}
	for _, s := range sockets {
		if s.Conn != nil {
			s.Conn.Close()
		} else {
			s.File.Close()
		}
	}
}

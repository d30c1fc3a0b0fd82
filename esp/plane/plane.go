// Package plane is the data plane of one tenant: it moves packets between the
// TUN device and the outer sockets, through the SAs that it is given. It owns
// the sockets of IKE too, because UDP 4500 carries both: it hands IKE messages
// to a callback and sends them for the engine. It does I/O.
//
// Each TUN queue and each socket has one goroutine that runs every packet to
// completion: read a super-packet or a batch, find the SA once per run of
// packets, seal or open in place, send or deliver as super-packets. A child SA
// has a lock of its own for each direction, taken once per run; nothing else is
// locked on the way of a packet, and nothing is allocated. All goroutines
// belong to Run.
//
// RFC 3948 (UDP encapsulation), RFC 4301 section 8 (path MTU, DF), RFC 4303,
// RFC 6040 (ECN).
package plane

import (
	"context"
	"errors"
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
)

// Errors that callers of SendIKE tell apart.
var (
	ErrMuted    = errors.New("plane: muted")
	ErrNoSocket = errors.New("plane: no socket with this local address")
	ErrFull     = errors.New("plane: socket is full")
)

// Plane is a running data plane. All methods are safe for concurrent use.
type Plane struct{}

// New makes a plane from c and takes its devices and sockets over, even when it
// returns an error.
func New(c *Config) (*Plane, error) { return &Plane{}, nil }

// Run moves packets until ctx ends or the devices fail, then closes devices and
// sockets and waits for its goroutines. It is called once.
func (p *Plane) Run(ctx context.Context) error { return nil }

// Ready is closed when packets move.
func (p *Plane) Ready() <-chan struct{} { return nil }

// String names the task.
func (p *Plane) String() string { return "data plane" }

// Apply installs, rekeys, moves or deletes a child SA; when it returns, the
// change is in effect: no packet is sealed or opened with a deleted SA. The
// keys of c.Child are copied. OpAdd and OpRekey of a child that is installed
// already change nothing, and so does OpDelete of one that is not. Counters of
// Child.Slot that belong to the same Child.ID are continued, others begin at 0.
func (p *Plane) Apply(c *sa.Change) error { return nil }

// SendIKE sends one IKE message from the socket bound to local; where that is a
// KindNATT socket it adds the non-ESP marker. A message of one byte 0xff on a
// KindNATT socket is a NAT keepalive and gets no marker. It never waits: it goes
// ahead of data that is waiting for the socket, in a queue of its own where the
// socket is full.
func (p *Plane) SendIKE(local, remote netip.AddrPort, payload []byte) error { return nil }

// Mute makes the plane silent, or lets it speak again. A muted plane keeps all
// SAs installed and up to date, but sends and delivers nothing, IKE included.
func (p *Plane) Mute(on bool) {}

// Stats returns the counters since New.
func (p *Plane) Stats() Stats { return Stats{} }

// PathMTU returns the path MTU of a child, and the largest inner packet that
// fits through it.
func (p *Plane) PathMTU(child uint64) (path, inner int, ok bool) { return 0, 0, false }

// AddSocket takes over one more socket while the plane runs. A socket of the
// same kind and address takes the place of the old one.
func (p *Plane) AddSocket(s Socket) error { return nil }

// RemoveSocket closes a socket.
func (p *Plane) RemoveSocket(k Kind, local netip.AddrPort) {}

package plane

import (
	"fmt"
	"sync/atomic"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/esp/stats"
)

// Carrier carries packets of the TUN device to one peer. A child SA of ESP is
// one; a TLS or DTLS session may be another. The plane finds the carrier of a
// packet by its selectors, and does what is alike for all of them: it limits,
// counts, fragments and shows packets, clamps the MSS of TCP and tells senders
// what is too big. What a carrier receives goes to a Receiver, which does the
// same for the other direction.
//
// All methods are called by the pipelines of the TUN queues, several at a time,
// and must not block for long: everything else waits for them meanwhile.
type Carrier interface {
	// MTU returns the size in bytes of the largest packet of IPv6, or of IPv4,
	// that is carried whole.
	MTU(v6 bool) int
	// Blocked reports whether nothing can be carried at the time now, in Unix
	// seconds, and the counter of the cause. It is asked before packets cost
	// anything.
	Blocked(now int64) (why stats.Counter, blocked bool)
	// Send carries the packets of b, or drops them with Burst.Drop. It may hold
	// copies back until a Flusher is called, see Burst.FlushLater. It returns false
	// where the carrier has been closed and has taken no packet of b: the plane
	// looks for its successor, once.
	Send(b *Burst) bool
}

// Flusher sends what a carrier has held back. It is called by the pipeline of
// one TUN queue when there is nothing more to read for now.
type Flusher interface{ Flush() }

// Link is a carrier that is installed in a plane.
type Link struct {
	carrier Carrier
	spi     sa.SPI // what taps are told; 0: the carrier has none
	id      uint64
	covers  *[2][]sa.Selector      // local and remote, of Attach; nil: the carrier looks itself
	shares  atomic.Pointer[shares] // nil: nothing has been counted against a bound
}

// sharesOf returns what of the bounds the link has used.
func (l *Link) sharesOf() *shares {
	if s := l.shares.Load(); s != nil {
		return s
	}
	l.shares.CompareAndSwap(nil, new(shares)) // or somebody else was first
	return l.shares.Load()
}

// Attach installs a carrier for the packets between local and remote, in front
// of what is there for the same destinations. The id is one that no child SA and
// no other link has. The selectors are not copied.
func (p *Plane) Attach(id uint64, local, remote []sa.Selector, c Carrier) (*Link, error) {
	l := &Link{carrier: c, id: id, covers: &[2][]sa.Selector{local, remote}}
	if err := p.tun.attach(id, local, remote, l); err != nil {
		return nil, fmt.Errorf("plane: attaching carrier %d: %w", id, err)
	}
	return l, nil
}

// Detach takes a link away that Attach has made. A pipeline may still be in a
// method of its carrier when Detach returns.
func (p *Plane) Detach(l *Link) { p.tun.detach(l.id) }

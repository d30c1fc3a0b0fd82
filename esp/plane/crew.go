package plane

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenvpn/warren/esp"
)

// maxCrew is the most members of a crew. With more, the network stack, which
// runs inside the system calls of the pipelines, sets the pace.
const maxCrew = 6

// crew is goroutines that seal and open beside the pipelines, so that one SA
// may use more than one processor. Each pipeline keeps the order: it reserves
// sequence numbers, sends, accepts and delivers in order; only the arithmetic
// is done out of order.
//
// With two processors there is no crew: generator, clients and the two
// pipelines keep both busy, and handing work over costs more than it brings.
type crew struct {
	size    int // of the crew; members above it are pipelines
	members int
	work    chan task
	group   sync.WaitGroup
	idle    crewState // of all child SAs, where size is 0
}

// task is work for the crew. The argument of do is the number of the member
// that does it.
type task interface{ do(member int) }

// newCrew returns a crew for this many pipelines of the TUN device. With size 0
// the number of processors decides on its size; with a negative one it has no
// members.
func newCrew(size, pipelines int) *crew {
	if size == 0 {
		size = min(runtime.GOMAXPROCS(0)-2, maxCrew)
	}
	size = max(0, min(size, maxCrew))
	return &crew{size: size, members: size + pipelines, work: make(chan task, 4*size)}
}

// start starts the crew.
func (c *crew) start() {
	for i := range c.size {
		c.group.Go(func() {
			for t := range c.work {
				t.do(i)
			}
		})
	}
}

// stop ends the crew. No pipeline may give it work any more.
func (c *crew) stop() {
	close(c.work)
	c.group.Wait()
}

// copies is one half of a child SA, once for each member. A copy is made when
// the member first needs it: most SAs never carry so much.
type copies[T any] []*T

// of returns the copy for a member. Other members may ask at the same time.
func (c copies[T]) of(member int, clone func() *T) *T {
	if c[member] == nil {
		c[member] = clone()
	}
	return c[member]
}

// each calls fn for the copies that were made.
func (c copies[T]) each(fn func(*T)) {
	for _, x := range c {
		if x != nil {
			fn(x)
		}
	}
}

// crewState is what the crew needs of a child SA.
type crewState struct {
	// outMu and inMu stand for those of the child. Members share them, each with a
	// copy of its own.
	outMu, inMu sync.RWMutex
	outs        copies[esp.Outbound] // outMu guards it
	ins         copies[esp.Inbound]  // inMu guards it
	unsealed    atomic.Int64         // packets that the crew has
	closing     atomic.Bool          // no more are given to it; set under outMu
	drained     chan struct{}        // has a token when the crew has none any more
}

// newState returns what the crew needs of a new child SA. A crew of nobody has one for all: what
// comes of its locks is that two child SAs are not deleted at the same time.
func (c *crew) newState() *crewState {
	if c.size == 0 {
		return &c.idle
	}
	return &crewState{
		drained: make(chan struct{}, 1),
		outs:    make(copies[esp.Outbound], c.members), ins: make(copies[esp.Inbound], c.members),
	}
}

// sealer returns what a member seals with; nil where the child was deleted. The
// caller holds crew.outMu, shared with others at least.
func (c *child) sealer(member int) *esp.Outbound {
	if c.out == nil {
		return nil
	}
	return c.crew.outs.of(member, c.out.Clone)
}

// drainTime bounds how long the end of a child waits for the crew. A socket that
// is full may hold it up, and IKE must not wait for that. It is longer in tests,
// which a busy machine holds up, too.
var drainTime = 20 * time.Millisecond

// drain has the child SA accept no new packets, and waits until the crew has sealed
// all that it has. The lock lets packets that have a sequence number be counted first.
func (x *crewState) drain() {
	x.outMu.Lock()
	x.closing.Store(true)
	x.outMu.Unlock()
	if x.unsealed.Load() == 0 {
		return
	}
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-x.drained:
	case <-t.C:
	}
}

// sealed counts n packets that the crew has sealed.
func (x *crewState) sealed(n int) {
	if x.unsealed.Add(-int64(n)) == 0 && x.closing.Load() {
		select {
		case x.drained <- struct{}{}:
		default:
		}
	}
}

// opener returns what a member decrypts with; nil where the child was deleted.
// The caller holds crew.inMu, shared with others at least.
func (c *child) opener(member int) *esp.Inbound {
	if c.in == nil {
		return nil
	}
	return c.crew.ins.of(member, c.in.Clone)
}

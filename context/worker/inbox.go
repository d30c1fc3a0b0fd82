package worker

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

const (
	// inboxSize bounds the messages of IKE SAs that wait for the loop, and
	// strangersSize all others; a flood beyond it is dropped before it costs more
	// than a copy. spiShare bounds those of one IKE SA, each fragment for itself: an
	// honest peer has one message under way, in a few dozen fragments at most. One of
	// freeShares of what is free bounds them, too, so that dozens that flood leave room for
	// others, and hundreds share it evenly.
	inboxSize     = 1024
	strangersSize = 256
	spiShare      = 64
	freeShares    = 16
	// reportsSize bounds the reports that wait; all that matter are repeated.
	reportsSize = 256
)

// errStopped is what a call gets when the loop has ended.
var errStopped = errors.New("worker: stopped")

// inbox is what waits for the loop: calls, reports of the data plane, and IKE
// messages. Messages that name an IKE SA which is here go before those of strangers, so
// that a flood of first messages takes no liveness check and no rekeying from a peer
// that is connected; and no peer that is connected, hostile or not, takes more than a
// share of that queue from the others, or more than its turn: IKE SAs of which messages
// wait are served one message each, in turn. The engine says which SPIs there are; the
// data plane asks, from its goroutines.
type inbox struct {
	known     chan *party // of which messages wait, each once; see next
	strangers chan exchange.Datagram
	reports   chan plane.Report
	calls     chan call

	mu   sync.RWMutex
	spis map[uint64]*party // guarded by mu

	queues  sync.Mutex
	waiting int // messages of all parties; guarded by queues
}

// party is an IKE SA that is here.
type party struct {
	engines  int                 // that have it: two, while a new one takes over; guarded by inbox.mu
	messages []exchange.Datagram // that wait, the oldest first; guarded by inbox.queues
}

// call runs in the loop. An error ends the loop.
type call func(now time.Time) error

func newInbox() *inbox {
	return &inbox{
		known: make(chan *party, inboxSize), strangers: make(chan exchange.Datagram, strangersSize),
		reports: make(chan plane.Report, reportsSize), calls: make(chan call),
		spis: map[uint64]*party{},
	}
}

// note takes from an engine that an IKE SA of ours with the SPI begins, or is
// gone.
func (b *inbox) note(spi uint64, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.spis[spi]
	switch {
	case there && p == nil:
		b.spis[spi] = &party{engines: 1}
	case there:
		p.engines++
	case p != nil:
		if p.engines--; p.engines == 0 {
			delete(b.spis, spi)
		}
	}
}

// message takes an IKE message from the data plane, whose buffer it is.
func (b *inbox) message(local, remote netip.AddrPort, payload []byte) {
	b.put(exchange.Datagram{Local: local, Remote: remote, Payload: append([]byte(nil), payload...)})
}

// put queues a message, or drops it where the queue, or the share of its IKE SA, is full:
// IKE repeats what matters.
func (b *inbox) put(d exchange.Datagram) {
	p := b.party(d.Payload)
	if p == nil {
		select {
		case b.strangers <- d:
		default:
		}
		return
	}
	b.queues.Lock()
	defer b.queues.Unlock()
	free := inboxSize - b.waiting
	if free == 0 || len(p.messages) >= min(spiShare, max(1, free/freeShares)) {
		return
	}
	b.waiting++
	if p.messages = append(p.messages, d); len(p.messages) == 1 {
		b.known <- p // has room: no more parties wait than messages
	}
}

// next takes the oldest message of p, which has come from known, and lets p wait for its
// next turn where it has more.
func (b *inbox) next(p *party) exchange.Datagram {
	b.queues.Lock()
	defer b.queues.Unlock()
	d := p.messages[0]
	b.waiting--
	if p.messages = p.messages[1:]; len(p.messages) > 0 {
		b.known <- p
	} else {
		p.messages = nil
	}
	return d
}

// backlog returns how many messages of IKE SAs that are here wait.
func (b *inbox) backlog() int {
	b.queues.Lock()
	defer b.queues.Unlock()
	return b.waiting
}

// report takes a report of the data plane.
func (b *inbox) report(r plane.Report) {
	select {
	case b.reports <- r:
	default: // reports that matter are repeated
	}
}

// call has f called in the loop, and does not wait for its end. It returns errStopped
// where the loop does not take it before ctx ends.
func (b *inbox) call(ctx context.Context, f call) error { return b.post(ctx.Done(), f) }

// post is call, until ended is closed.
func (b *inbox) post(ended <-chan struct{}, f call) error {
	select {
	case b.calls <- f:
		return nil
	case <-ended:
		return errStopped
	}
}

// party returns the IKE SA that a message names; nil: it is not here.
func (b *inbox) party(message []byte) *party {
	spi := ike.OurSPI(message)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.spis[spi]
}

// drain drops all messages and reports that wait.
func (b *inbox) drain() {
	for len(b.known) > 0 {
		b.next(<-b.known)
	}
	for len(b.strangers) > 0 {
		<-b.strangers
	}
	for len(b.reports) > 0 {
		<-b.reports
	}
}

package worker

import (
	"sync"

	"github.com/warrenvpn/warren/ike"
	"github.com/warrenvpn/warren/ike/exchange"
)

const (
	// inboxSize bounds the messages of IKE SAs that wait for the loop, and
	// strangersSize all others; a flood beyond it is dropped before it costs more
	// than a copy.
	inboxSize     = 1024
	strangersSize = 256
)

// inbox is the IKE messages that wait for the loop. Those that name an IKE SA
// which is here go before those of strangers, so that a flood of first messages
// takes no liveness check and no rekeying from a peer that is connected. The
// engine says which SPIs there are; the data plane asks, from its goroutines.
type inbox struct {
	known, strangers chan exchange.Datagram

	mu   sync.RWMutex
	spis map[uint64]int // guarded by mu; while a new engine takes over, two have one
}

func newInbox() *inbox {
	return &inbox{
		known: make(chan exchange.Datagram, inboxSize), strangers: make(chan exchange.Datagram, strangersSize),
		spis: map[uint64]int{},
	}
}

// note takes from an engine that an IKE SA of ours with the SPI begins, or is
// gone.
func (b *inbox) note(spi uint64, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if there {
		b.spis[spi]++
	} else if b.spis[spi]--; b.spis[spi] <= 0 {
		delete(b.spis, spi)
	}
}

// put queues a message, or drops it where the queue is full: IKE repeats what
// matters.
func (b *inbox) put(d exchange.Datagram) {
	queue := b.strangers
	if b.knows(d.Payload) {
		queue = b.known
	}
	select {
	case queue <- d:
	default:
	}
}

// knows reports whether a message names an IKE SA that is here.
func (b *inbox) knows(message []byte) bool {
	spi := ike.OurSPI(message)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.spis[spi] > 0
}

// drain drops all that waits.
func (b *inbox) drain() {
	for len(b.known) > 0 {
		<-b.known
	}
	for len(b.strangers) > 0 {
		<-b.strangers
	}
}

// queues returns what the loop listens to: neither where no message of a peer is
// taken up.
func (w *Worker) queues() (known, strangers <-chan exchange.Datagram) {
	if !w.twin.listens() {
		return nil, nil
	}
	return w.inbox.known, w.inbox.strangers
}

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
	// than a copy.
	inboxSize     = 1024
	strangersSize = 256
	// reportsSize bounds the reports that wait; all that matter are repeated.
	reportsSize = 256
)

// errStopped is what a call gets when the loop has ended.
var errStopped = errors.New("worker: stopped")

// inbox is what waits for the loop: calls, reports of the data plane, and IKE
// messages. Messages that name an IKE SA which is here go before those of strangers, so
// that a flood of first messages takes no liveness check and no rekeying from a peer
// that is connected. The engine says which SPIs there are; the data plane asks,
// from its goroutines.
type inbox struct {
	known, strangers chan exchange.Datagram
	reports          chan plane.Report
	calls            chan call

	mu   sync.RWMutex
	spis map[uint64]int // guarded by mu; while a new engine takes over, two have one
}

// call runs in the loop. An error ends the loop.
type call func(now time.Time) error

func newInbox() *inbox {
	return &inbox{
		known: make(chan exchange.Datagram, inboxSize), strangers: make(chan exchange.Datagram, strangersSize),
		reports: make(chan plane.Report, reportsSize), calls: make(chan call),
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

// message takes an IKE message from the data plane, whose buffer it is.
func (b *inbox) message(local, remote netip.AddrPort, payload []byte) {
	b.put(exchange.Datagram{Local: local, Remote: remote, Payload: append([]byte(nil), payload...)})
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

// report takes a report of the data plane.
func (b *inbox) report(r plane.Report) {
	select {
	case b.reports <- r:
	default: // reports that matter are repeated
	}
}

// call has f called in the loop, and does not wait for its end. It returns errStopped
// where the loop does not take it before ctx ends.
func (b *inbox) call(ctx context.Context, f call) error {
	select {
	case b.calls <- f:
		return nil
	case <-ctx.Done():
		return errStopped
	}
}

// knows reports whether a message names an IKE SA that is here.
func (b *inbox) knows(message []byte) bool {
	spi := ike.OurSPI(message)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.spis[spi] > 0
}

// drain drops all messages and reports that wait.
func (b *inbox) drain() {
	for len(b.known) > 0 {
		<-b.known
	}
	for len(b.strangers) > 0 {
		<-b.strangers
	}
	for len(b.reports) > 0 {
		<-b.reports
	}
}

// Package capture collects packets of one tenant for whoever reads them, as a
// pcapng file that is written while packets pass: those of an interface, which
// come as frames from the supervisor (Frames), and those inside the tunnels, which
// the data plane shows (plane.Tap). A reader that is slow loses packets, which are
// counted, and holds nobody up. It does I/O on the connections that it is given,
// and opens none.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/build"
)

const (
	// bufferSize is what may wait for the reader of a capture, twice, in bytes; more
	// is dropped and counted.
	bufferSize = 4 << 20
	// lastWrite bounds how long the end of a capture waits for its reader.
	lastWrite = time.Second
)

// ErrTooMany is returned for one capture more than a tenant may run.
var ErrTooMany = fmt.Errorf("capture: %d captures run already: end one of them", control.MaxCaptures)

// errNoFrames is returned for a capture of an interface without its frames, and
// for frames of a capture that has none.
var errNoFrames = errors.New("capture: only a capture of an interface reads frames, and it needs them")

// Set are the captures of one tenant. It is safe for concurrent use.
type Set struct {
	tell func(control.Fact)
	taps func(...plane.Tap) // replaces the taps of the data plane

	mu      sync.Mutex // protects what follows
	running int
	inside  []plane.Tap // the captures of packets inside the tunnels
}

// NewSet returns a set without captures. taps replaces the taps of the data plane;
// the set calls it whenever a capture of control.CaptureDecrypted starts or ends. tell
// takes what happens; it must not block.
func NewSet(tell func(control.Fact), taps func(...plane.Tap)) *Set {
	return &Set{tell: tell, taps: taps}
}

// Prepare makes ready for a capture, which runs in the function that it returns:
// until its context ends, its reader goes away, or it has all that which asks for.
// The function closes out and frames. frames are nil for control.CaptureDecrypted,
// and for nothing else. Where Prepare fails, out and frames stay the caller's;
// ErrTooMany: there are too many captures.
func (s *Set) Prepare(which control.Capture, frames *Frames, out net.Conn) (run func(context.Context), err error) {
	if (frames == nil) != (which.Interface == control.CaptureDecrypted) {
		return nil, errNoFrames
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= control.MaxCaptures {
		return nil, ErrTooMany
	}
	s.running++
	c := newCapture(which.Count)
	if frames == nil {
		s.inside = append(s.inside, c)
		s.taps(slices.Clone(s.inside)...)
	}
	s.tell(&control.CaptureBegun{Interface: which.Interface})
	return func(ctx context.Context) {
		c.run(ctx, which, frames, out)
		s.remove(c)
		s.tell(&control.CaptureEnded{Interface: which.Interface, Count: c.kept, Dropped: c.dropped})
	}, nil
}

// remove forgets a capture that has ended.
func (s *Set) remove(c *capture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.inside = slices.DeleteFunc(s.inside, func(t plane.Tap) bool { return t == plane.Tap(c) })
	s.taps(slices.Clone(s.inside)...)
}

// capture collects packets for one reader. It is a plane.Tap.
type capture struct {
	limit uint64 // packets; 0: none
	wake  chan struct{}

	mu            sync.Mutex // protects what follows
	waiting       []byte     // blocks for the reader; its capacity is the bound
	spare         []byte
	kept, dropped uint64
	full          bool // limit is reached
}

func newCapture(limit uint64) *capture {
	return &capture{
		limit: limit, wake: make(chan struct{}, 1),
		waiting: make([]byte, 0, bufferSize), spare: make([]byte, 0, bufferSize),
	}
}

// Packet implements plane.Tap.
func (c *capture) Packet(inbound bool, spi sa.SPI, b []byte) {
	var comment [32]byte
	text := append(comment[:0], "spi 0x"...)
	for shift := 28; shift >= 0; shift -= 4 {
		text = append(text, "0123456789abcdef"[spi>>shift&0xf])
	}
	d := pcapng.Outbound
	if inbound {
		d = pcapng.Inbound
	}
	c.add(time.Now().UnixNano(), d, text, nil, b)
}

// add keeps a packet, or counts it where there is no room.
func (c *capture) add(nanos int64, d pcapng.Direction, comment, head, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full {
		return
	}
	if len(c.waiting)+len(head)+len(data)+pcapng.Overhead > cap(c.waiting) {
		c.dropped++
		return
	}
	c.waiting = pcapng.AppendPacket(c.waiting, nanos, d, comment, head, data)
	c.kept++
	c.full = c.kept == c.limit
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// drop counts packets that were lost before add.
func (c *capture) drop(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.full {
		c.dropped += n
	}
}

// take returns what waits, and whether it is the last.
func (c *capture) take() (b []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b = c.waiting
	c.waiting, c.spare = c.spare[:0], b
	return b, c.full
}

// run writes the capture to out until it ends, and closes out and frames.
func (c *capture) run(ctx context.Context, which control.Capture, frames *Frames, out net.Conn) {
	link := pcapng.LinkRaw
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer out.Close()
	if frames != nil {
		link = frames.link
		helpers.Go(func() { frames.copyTo(c); cancel() })
		defer frames.Close()
	}
	helpers.Go(func() { // the reader says nothing; it may go away
		_, _ = io.Copy(io.Discard, out)
		cancel()
	})
	defer context.AfterFunc(ctx, func() { _ = out.SetWriteDeadline(time.Now().Add(lastWrite)) })()
	defer cancel()

	var over <-chan time.Time
	if which.Duration > 0 {
		timer := time.NewTimer(which.Duration)
		defer timer.Stop()
		over = timer.C
	}
	if _, err := out.Write(pcapng.AppendHeader(nil, link, which.Interface, "warren "+build.Version())); err != nil {
		return
	}
	for ended := false; !ended; {
		select {
		case <-c.wake:
		case <-over:
			ended = true
		case <-ctx.Done():
			ended = true
		}
		b, last := c.take()
		if _, err := out.Write(b); err != nil {
			return
		}
		ended = ended || last
	}
	c.mu.Lock()
	end := pcapng.AppendStatistics(nil, time.Now().UnixNano(), c.kept+c.dropped, c.dropped)
	c.full = true
	c.mu.Unlock()
	_, _ = out.Write(end)
}

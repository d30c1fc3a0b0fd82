package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pcapng"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/esp/plane"
	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/internal/build"
)

const (
	// captureBuffer is what may wait for the reader of a capture, twice; more
	// is dropped and counted.
	captureBuffer = 4 << 20
	// captureEnd bounds how long the end of a capture waits for its reader.
	captureEnd = time.Second
)

// captures are those that run. Its taps are those of the plane.
type captures struct {
	mu     sync.Mutex // protects what follows
	count  int
	inside []plane.Tap
}

var errCaptures = fmt.Errorf("worker: %d captures run already: end one of them", control.MaxCaptures)

// capture begins a capture and leaves it running.
func (p *process) capture(ctx context.Context, req *pipe.Request) error {
	var order control.CaptureOrder
	if err := json.Unmarshal(req.Body, &order); err != nil {
		return fmt.Errorf("worker: reading %s: %w", req.Kind, err)
	}
	which, sockets := order.Capture, 1
	if which.Interface == control.CaptureDecrypted {
		sockets = 0
	}
	if len(req.Files) != 1+sockets {
		return fmt.Errorf("worker: %s with %d descriptors", req.Kind, len(req.Files))
	}
	out, err := net.FileConn(req.Files[0])
	if err != nil {
		return fmt.Errorf("worker: taking over where a capture goes: %w", err)
	}
	var socket *sniffer
	if sockets > 0 {
		if socket, err = newSniffer(req.Files[1], order.Ethernet); err != nil {
			out.Close()
			return err
		}
	}
	w := p.worker
	run, err := w.beginCapture(which, socket, out)
	if err != nil {
		out.Close()
		if socket != nil {
			socket.Close()
		}
		return err
	}
	p.links.Go(func() { run(ctx) })
	return nil
}

// beginCapture makes ready for a capture, which runs in the function that it
// returns. That takes socket, which may be nil, and out over.
func (w *Worker) beginCapture(which control.Capture, socket *sniffer, out net.Conn) (func(context.Context), error) {
	w.captures.mu.Lock()
	defer w.captures.mu.Unlock()
	if w.captures.count >= control.MaxCaptures {
		return nil, errCaptures
	}
	w.captures.count++
	c := newCapture(which.Count)
	if socket == nil {
		w.captures.inside = append(w.captures.inside, c)
		w.plane.SetTaps(slices.Clone(w.captures.inside)...)
	}
	w.log.Info("capture begins", "interface", which.Interface)
	return func(ctx context.Context) {
		link := pcapng.LinkRaw
		if socket != nil {
			link = socket.link
		}
		c.run(ctx, which, link, socket, out)
		w.captures.mu.Lock()
		w.captures.count--
		w.captures.inside = slices.DeleteFunc(w.captures.inside, func(t plane.Tap) bool { return t == plane.Tap(c) })
		w.plane.SetTaps(slices.Clone(w.captures.inside)...)
		w.captures.mu.Unlock()
		w.log.Info("capture ends", "interface", which.Interface, "count", c.kept, "dropped", c.dropped)
	}, nil
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
		waiting: make([]byte, 0, captureBuffer), spare: make([]byte, 0, captureBuffer),
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

// run writes the capture to out until it ends, and closes out and socket.
func (c *capture) run(ctx context.Context, which control.Capture, link pcapng.LinkType, socket *sniffer, out net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer out.Close()
	if socket != nil {
		helpers.Go(func() { socket.sniff(c); cancel() })
		defer socket.Close()
	}
	helpers.Go(func() { // the reader says nothing; it may go away
		_, _ = io.Copy(io.Discard, out)
		cancel()
	})
	defer context.AfterFunc(ctx, func() { _ = out.SetWriteDeadline(time.Now().Add(captureEnd)) })()
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

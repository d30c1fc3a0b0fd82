package spawn

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

// Capture makes the worker begin a capture, and returns it as it comes. It ends
// with the worker, too. Closing it ends it.
func (w *Worker) Capture(ctx context.Context, which control.Capture) (io.ReadCloser, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("spawn: making a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "capture"), os.NewFile(uintptr(fds[1]), "capture")
	out, order := &capture{File: ours}, control.CaptureOrder{Capture: which}
	files := []*os.File{theirs}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if which.Interface != control.CaptureDecrypted {
		socket, err := w.cfg.Network.Sniff(which.Interface)
		if err != nil {
			ours.Close()
			return nil, err
		}
		order.Ethernet = ethernet(socket)
		var frames *os.File
		if frames, out.stop, err = w.relay(socket); err != nil {
			ours.Close()
			return nil, err
		}
		files = append(files, frames)
	}
	if _, err := w.call(ctx, control.KindCapture, order, files...); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// capture is what a worker writes of a capture.
type capture struct {
	*os.File
	stop func() // passes no more frames on; nil: none are
}

// Close ends the capture, whatever the worker does.
func (c *capture) Close() error {
	if c.stop != nil {
		c.stop()
	}
	return c.File.Close()
}

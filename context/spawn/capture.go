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
	files := []*os.File{theirs}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if which.Interface != control.CaptureDecrypted {
		f, err := w.cfg.Network.Sniff(which.Interface)
		if err != nil {
			ours.Close()
			return nil, err
		}
		files = append(files, f)
	}
	if _, err := w.call(ctx, control.KindCapture, which, files...); err != nil {
		ours.Close()
		return nil, err
	}
	return ours, nil
}

package worker

import (
	"fmt"
	"net"

	"github.com/warrenvpn/warren/context/capture"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// capture starts a capture and leaves it running. Its descriptors are where the
// file goes, and for an interface where its frames come from.
func (p *process) capture(req *pipe.Request) error {
	order, err := decode[control.CaptureOrder](req)
	if err != nil {
		return err
	}
	sources := 1
	if order.Capture.Interface == control.CaptureDecrypted {
		sources = 0
	}
	if len(req.Files) != 1+sources {
		return fmt.Errorf("worker: %s with %d descriptors", req.Kind, len(req.Files))
	}
	out, err := net.FileConn(req.Files[0])
	if err != nil {
		return fmt.Errorf("worker: taking over where a capture goes: %w", err)
	}
	var frames *capture.Frames
	if sources > 0 {
		if frames, err = capture.NewFrames(req.Files[1], order.Ethernet); err != nil {
			out.Close()
			return err
		}
	}
	run, err := p.captures.Prepare(order.Capture, frames, out)
	if err != nil {
		out.Close()
		if frames != nil {
			frames.Close()
		}
		return err
	}
	p.links.Go(func() { run(p.life) })
	return nil
}

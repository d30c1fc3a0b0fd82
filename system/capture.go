package system

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// Capture implements api.Backend.
func (s *System) Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error) {
	t, worker, err := s.ready(name)
	if err != nil {
		return nil, err
	}
	if err := t.mayCapture(which.Interface); err != nil {
		return nil, err
	}
	t.log.Warn("packets are captured", "interface", which.Interface)
	body, err := worker.Capture(ctx, which)
	if err != nil {
		return nil, answered(name, worker, err)
	}
	return body, nil
}

// mayCapture reports whether there is such an interface.
func (t *tenant) mayCapture(iface string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := []string{control.CaptureDecrypted}
	for _, i := range t.want.Spec.Interfaces {
		names = append(names, i.Name)
	}
	for _, n := range names {
		if n == iface {
			return nil
		}
	}
	return &fault.Error{Code: fault.CodeInvalid, Reason: fmt.Sprintf("context %q has no interface %q", t.name, iface),
		Hint: "there are " + strings.Join(names, ", ")}
}

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// The parameters of a capture.
const (
	interfaceParam = "interface"
	countParam     = "count"    // packets
	durationParam  = "duration" // "30s"
)

// captureTimeout ends a capture that nobody has ended.
const captureTimeout = 24 * time.Hour

// parseCapture reads the parameters of a capture.
func parseCapture(q url.Values) (control.Capture, error) {
	which := control.Capture{Interface: q.Get(interfaceParam)}
	if which.Interface == "" {
		return which, &fault.Error{Code: fault.CodeInvalid, Reason: "capture needs an interface",
			Hint: "one of the context's interfaces, or " + control.CaptureDecrypted}
	}
	var err error
	if text := q.Get(countParam); text != "" {
		if which.Count, err = strconv.ParseUint(text, 10, 63); err != nil || which.Count == 0 {
			return which, &fault.Error{Code: fault.CodeInvalid,
				Reason: fmt.Sprintf("%s=%s is not a number of packets from 1 on", countParam, text)}
		}
	}
	if text := q.Get(durationParam); text != "" {
		which.Duration, err = time.ParseDuration(text)
		if err != nil || which.Duration <= 0 || which.Duration > captureTimeout {
			return which, &fault.Error{Code: fault.CodeInvalid,
				Reason: fmt.Sprintf("%s=%s is not a time up to %v, such as 30s", durationParam, text, captureTimeout)}
		}
	}
	return which, nil
}

// capture answers with packets as they come. When the caller goes away, the
// capture ends.
func (s *Server) capture(t *transfer, r *http.Request) error {
	which, err := parseCapture(r.URL.Query())
	if err != nil {
		return err
	}
	body, err := s.cfg.Backend.Capture(r.Context(), r.PathValue(contextParam), which)
	if err != nil {
		return err
	}
	defer body.Close()
	defer context.AfterFunc(r.Context(), func() { body.Close() })()
	t.begin(contentType, -1)
	for b := make([]byte, 64<<10); ; {
		n, err := body.Read(b)
		if n > 0 {
			if _, err := t.Write(b[:n]); err != nil {
				return nil // the caller has gone
			}
			t.control.Flush()
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && r.Context().Err() == nil {
				s.log.Warn("capture is cut off", "tenant", r.PathValue(contextParam), "reason", err)
			}
			return nil
		}
	}
}

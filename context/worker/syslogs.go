package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/warrenvpn/warren/resource"
)

// syslogs bounds the lines that the worker logs. What is beyond is counted, and
// lost.
type syslogs struct {
	mu                 sync.Mutex // protects what follows
	bucket             resource.Bucket
	passed, suppressed int64
}

// syslogsSaved is how many seconds' worth of lines can be saved up, for the hour
// of a thousand sessions.
const syslogsSaved = 10

// rate sets the bound, in lines per second; 0: none.
func (s *syslogs) rate(perSecond int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bucket.SetRate(float64(perSecond), syslogsSaved*float64(perSecond))
}

// counts returns how many lines were let pass, and how many were not.
func (s *syslogs) counts() (passed, suppressed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passed, s.suppressed
}

func (s *syslogs) allow(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.bucket.Take(now, 1) {
		s.suppressed++
		return false
	}
	s.passed++
	return true
}

// limit returns a handler that passes lines on to h within the bound.
func (s *syslogs) limit(h slog.Handler) slog.Handler { return &boundHandler{h, s} }

type boundHandler struct {
	slog.Handler
	lines *syslogs
}

// Handle implements slog.Handler.
func (h *boundHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.lines.allow(time.Now()) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *boundHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.lines.limit(h.Handler.WithAttrs(attrs))
}

// WithGroup implements slog.Handler.
func (h *boundHandler) WithGroup(name string) slog.Handler {
	return h.lines.limit(h.Handler.WithGroup(name))
}

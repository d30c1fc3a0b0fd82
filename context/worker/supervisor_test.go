package worker

import (
	"context"
	"testing"
	"time"
)

// TestAnsweredEnds: an answer that comes after the loop has ended waits for nobody.
func TestAnsweredEnds(t *testing.T) {
	s := &supervisor{inbox: newInbox()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.answered(ctx, func(time.Time) {})
}

package link

import (
	"testing"
	"time"
)

// TestPacer: behind the first burst the rate is kept, in pieces that are worth a timer.
func TestPacer(t *testing.T) {
	const message = 1500
	p := Pacer{Rate: 1 << 20}
	now := time.Unix(0, 0)
	end := now.Add(10 * time.Second)
	sent, waits := 0, 0
	for now.Before(end) {
		if at, ok := p.allow(now, 0); !ok {
			if !at.After(now) {
				t.Fatalf("waits until %v at %v", at, now)
			}
			now = at
			waits++
			continue
		}
		p.allow(now, message)
		sent += message
	}
	if rate := (sent - bulkBurst) / 10; rate < 1<<20*95/100 || rate > 1<<20*105/100 {
		t.Errorf("%d bytes a second", rate)
	}
	if waits > sent/bulkPiece+1 {
		t.Errorf("%d waits for %d bytes", waits, sent)
	}
}

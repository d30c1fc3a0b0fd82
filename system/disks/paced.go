package disks

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/warrenvpn/warren/resource"
)

// paced is a reader that takes no more than a bucket gives.
type paced struct {
	io.Reader
	io.Closer
	ctx    context.Context
	bucket *resource.Bucket
	failed *error // gets what was wrong with the reader
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b[:min(len(b), followBurst)])
	if err != nil && !errors.Is(err, io.EOF) {
		*p.failed = err
	}
	for n > 0 {
		now := time.Now()
		if p.bucket.Take(now, float64(n)) {
			break
		}
		wait, _ := p.bucket.Wait(now, float64(n))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
			return 0, p.ctx.Err()
		}
	}
	return n, err
}

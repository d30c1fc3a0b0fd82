package pair

import (
	"log/slog"
	"sync"
	"time"

	"github.com/warrenvpn/warren/resource"
)

const (
	// refusalRate and refusalBurst bound the lines about connections that are
	// refused on one failover link: whoever can reach it decides how many there
	// would be.
	refusalRate  = 0.1 // a second
	refusalBurst = 5
)

// refusals logs what is refused, within bounds. Its methods may be called from
// several goroutines at once.
type refusals struct {
	mu     sync.Mutex // protects what follows
	bucket resource.Bucket
	silent int // since the last line
}

func newRefusals() *refusals {
	return &refusals{bucket: resource.Bucket{Rate: refusalRate, Burst: refusalBurst}}
}

// refused logs that a connection was refused, or counts it.
func (r *refusals) refused(log *slog.Logger, link string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.bucket.Take(time.Now(), 1) {
		r.silent++
		return
	}
	args := []any{"link", link, "reason", err}
	if r.silent > 0 {
		args = append(args, "count", r.silent)
		r.silent = 0
	}
	log.Warn("connection on failover link refused", args...)
}

package failovertest

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seed  = flag.Uint64("seed", 0, "play this seed only, and tell the story")
	first = flag.Int("first", 1, "the first seed to play")
	seeds = flag.Int("seeds", 1000, "the last seed to play; make sim plays 10,000")
)

// TestSeeds plays many runs. One that fails is told by:
//
//	go test ./failover/failovertest -run TestSeeds -seed N
func TestSeeds(t *testing.T) {
	if *seed != 0 {
		result, err := Run(*seed, t.Logf)
		t.Logf("%+v", result)
		if err != nil {
			t.Errorf("seed %d: %v", *seed, err)
		}
		return
	}
	n := *seeds
	if testing.Short() {
		n = min(n, 300)
	}
	var next, failed atomic.Uint64
	before := *first - 1
	next.Store(uint64(before))
	var mu sync.Mutex
	var total Result
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var sum Result
			for {
				s := next.Add(1)
				if s > uint64(n) || failed.Load() > 5 {
					break
				}
				result, err := Run(s, nil)
				if err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v", s, err)
				}
				sum.Add(result)
			}
			mu.Lock()
			defer mu.Unlock()
			total.Add(sum)
		})
	}
	wg.Wait()
	t.Logf("%d seeds: %+v", n-before, total)
	if n-before >= 300 && (total.Kills == 0 || total.WorkerKills == 0 || total.Cuts == 0 || total.Switches == 0 ||
		total.SplitBrains == 0 || total.Snapshots == 0 || total.Rekeys == 0 || total.Replies == 0 ||
		total.Sleeps == 0 || total.Lies == 0 || total.Hangs == 0 || total.Rotations == 0 ||
		total.Obituaries == 0 || total.Deceptions == 0 || total.Adoptions == 0 || total.Lapses == 0 ||
		total.Yields == 0 || total.Spared == 0 || total.Lone == 0) {
		t.Errorf("something never happened: %+v", total)
	}
}

package worker

import (
	"math"
	"runtime"
)

// processors sets how many processors the Go runtime uses to those that the class
// lets it have: in its empty root it cannot look for the quota itself. As the
// runtime would, it takes two at least.
func processors(cores float64) {
	n := runtime.NumCPU()
	if cores > 0 {
		n = min(n, max(2, int(math.Ceil(cores))))
	}
	runtime.GOMAXPROCS(n)
}

//go:build race

package worker

// sparse makes the longest tests do less: the race detector itself does not
// survive many thousand goroutines that come and go.
const sparse = 25

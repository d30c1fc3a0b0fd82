//go:build race

package checker

// taken: no process is started under the race detector, see taken_test.go.
func taken() int { return 1 }
